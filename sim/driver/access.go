package driver

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// Signer signs tokens for a target that asks for them. One goroutine calls it.
type Signer interface {
	// AppendDevice appends a token for the devices of an account to dst.
	AppendDevice(dst []byte, account uint64, expires time.Time) []byte
	// AppendAggregator appends one to dst for a batch of events of many accounts.
	AppendAggregator(dst []byte, expires time.Time) []byte
}

// tokenLife is how long a token of the driver lives. Each request has its own, so that
// none is kept and none grows old; the target's clock may be off by as much.
const tokenLife = 5 * time.Minute

const authorization = "Authorization: Bearer "

// appendDevice adds the header that shows the token of an account's devices, if tokens are
// asked for.
func (d *Driver) appendDevice(dst []byte, account uint64) []byte {
	if d.config.Signer == nil {
		return dst
	}
	dst = d.config.Signer.AppendDevice(append(dst, authorization...), account, time.Now().Add(tokenLife))
	return append(dst, "\r\n"...)
}

// appendAggregator is the same for a batch.
func (d *Driver) appendAggregator(dst []byte) []byte {
	if d.config.Signer == nil {
		return dst
	}
	dst = d.config.Signer.AppendAggregator(append(dst, authorization...), time.Now().Add(tokenLife))
	return append(dst, "\r\n"...)
}

// Dial opens a connection, as net.Dialer.DialContext does. It may be called at the same time.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Access is what a target wants to see of who asks it something outside the plan. The zero
// value is for one that wants to see nothing. Its function may be called at the same time.
type Access struct {
	TLS    *tls.Config                 // of URLs of https
	Bearer func(account uint64) string // the token to ask about an account with; nil: none
	Dial   Dial                        // nil: the machine's own way
}

// client is for requests that carry no token to anywhere but where they are sent.
func (a Access) client(timeout time.Duration, connections int) *http.Client {
	return &http.Client{
		Timeout: timeout, CheckRedirect: followNone,
		Transport: &http.Transport{TLSClientConfig: a.TLS, DialContext: a.Dial, MaxIdleConnsPerHost: connections},
	}
}
