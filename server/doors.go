package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/server/token"
)

const (
	// DefaultAdminAddress is where admins are answered once there are tokens.
	DefaultAdminAddress = "127.0.0.1:8090"

	maxAdminConnections = 256
)

// Doors say who is let in (docs/security.md). The zero value is for loopback: who
// reaches the node there may do everything.
type Doors struct {
	AdminAddress string // of a listener for admins; empty: DefaultAdminAddress if there is a TokenFile, else that of clients
	TokenFile    string // see server/token; empty: nobody is asked for one
	TLSCert      string // PEM files of what clients and admins are shown; empty: HTTP in the clear
	TLSKey       string
	PeerCert     string // PEM files of what the other nodes are shown, and of who signs theirs; empty: in the clear
	PeerKey      string
	PeerCA       string
}

// setting is a flag of serve and what it was given.
type setting struct{ flag, value string }

func (d Doors) tokens() setting { return setting{"--tokens", d.TokenFile} }
func (d Doors) serving() []setting {
	return []setting{{"--tls-cert", d.TLSCert}, {"--tls-key", d.TLSKey}}
}
func (d Doors) between() []setting {
	return []setting{{"--peer-cert", d.PeerCert}, {"--peer-key", d.PeerKey}, {"--peer-ca", d.PeerCA}}
}

// adminAddress is empty where admins come in by the clients' door.
func (d Doors) adminAddress() string {
	if d.AdminAddress == "" && d.TokenFile != "" {
		return DefaultAdminAddress
	}
	return d.AdminAddress
}

// validate refuses a door that others than this machine can reach and that stands open.
func (d Doors) validate(httpAddress, raftAddress string) error {
	for _, group := range [][]setting{d.serving(), d.between()} {
		if missing := unset(group); len(missing) > 0 && len(missing) < len(group) {
			return fmt.Errorf("%s: expected it too, for %s stand together", strings.Join(missing, ", "), flags(group))
		}
	}
	for _, reached := range []struct {
		name, address string
		needs         []setting
	}{
		{"http", httpAddress, append(d.serving(), d.tokens())},
		{"admin", d.adminAddress(), append(d.serving(), d.tokens())},
		{"raft", raftAddress, append(d.between(), d.tokens())},
	} {
		missing := unset(reached.needs)
		if reached.address != "" && !isLoopback(reached.address) && len(missing) > 0 {
			return fmt.Errorf("%s is %s, which is not loopback: expected %s too, and got no %s: see docs/security.md",
				reached.name, reached.address, flags(reached.needs), strings.Join(missing, ", "))
		}
	}
	return nil
}

func unset(settings []setting) (missing []string) {
	for _, s := range settings {
		if s.value == "" {
			missing = append(missing, s.flag)
		}
	}
	return missing
}

func flags(settings []setting) string {
	names := make([]string, len(settings))
	for i, s := range settings {
		names[i] = s.flag
	}
	return strings.Join(names, ", ")
}

// isLoopback goes by the address as it is written, for what a name stands for may
// change; of localhost it looks up that nobody has made it another's.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host != "localhost" {
		ip, err := netip.ParseAddr(host)
		return err == nil && ip.Unmap().IsLoopback()
	}
	ips, err := net.LookupIP(host)
	return err == nil && len(ips) > 0 && !slices.ContainsFunc(ips, func(ip net.IP) bool { return !ip.IsLoopback() })
}

// secrets are what the files of Doors hold. They are replaced, never changed.
type secrets struct {
	tokens   *token.Tokens    // nil: nobody is asked for one
	serving  *tls.Certificate // nil: in the clear
	identity raft.Identity    // without a certificate: in the clear
}

func (d Doors) read(nodeID string) (*secrets, error) {
	read := &secrets{}
	var err error
	if d.TokenFile != "" {
		if read.tokens, err = token.Read(d.TokenFile); err != nil {
			return nil, err
		}
	}
	if d.TLSCert != "" {
		if read.serving, err = readCertificate(d.serving()); err != nil {
			return nil, err
		}
	}
	if d.PeerCert == "" {
		return read, nil
	}
	own, err := readCertificate(d.between())
	if err != nil {
		return nil, err
	}
	authorities, err := os.ReadFile(d.PeerCA)
	if err != nil {
		return nil, fmt.Errorf("--peer-ca: %w", err)
	}
	read.identity = raft.Identity{Certificate: *own, Authorities: x509.NewCertPool()}
	if !read.identity.Authorities.AppendCertsFromPEM(authorities) {
		return nil, fmt.Errorf("--peer-ca: %s: expected certificates in PEM", d.PeerCA)
	}
	if err := read.identity.Check(nodeID, time.Now()); err != nil {
		return nil, fmt.Errorf("--peer-cert: %s: %w", d.PeerCert, err)
	}
	return read, nil
}

// readCertificate reads the certificate and the key that come first of the settings.
func readCertificate(files []setting) (*tls.Certificate, error) {
	chain, err := os.ReadFile(files[0].value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", files[0].flag, err)
	}
	key, err := token.ReadSecret(files[1].value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", files[1].flag, err)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", files[0].flag, files[1].flag, err)
	}
	return &pair, nil
}

// Reload reads the tokens and certificates again; what comes in from then on is
// judged by them. After an error those of before count.
func (s *Server) Reload() error {
	read, err := s.doors.read(s.nodeID)
	if err != nil {
		return fmt.Errorf("read tokens and certificates again: %w", err)
	}
	s.secrets.Store(read)
	return nil
}

// door is a listener and what answers there.
type door struct {
	listener net.Listener
	http     *http1.Server
}

func (d door) serve() error {
	err := d.http.Serve(d.listener)
	if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) { // the node closes the raft port, in haste before Shutdown was heard
		return fmt.Errorf("serve on %s: %w", d.listener.Addr(), err)
	}
	return nil
}

// secure puts TLS before what answers, if there is a certificate.
func (s *Server) secure(l net.Listener) net.Listener {
	if s.secrets.Load().serving == nil {
		return l
	}
	return tls.NewListener(l, &tls.Config{
		MinVersion:     tls.VersionTLS12,     // televisions live long
		NextProtos:     []string{"http/1.1"}, // one request at a time: what bounds connections bounds requests
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.secrets.Load().serving, nil },
	})
}

// passedOn marks the requests that other nodes pass on.
type passedOn struct{}

// openDoors makes what answers clients, admins and the other nodes.
func (s *Server) openDoors(cfg Config) error {
	checked := s.secrets.Load().tokens != nil
	forClients := []audience{forAll, forDevices, forTellers, forAdmins}
	if address := cfg.Doors.adminAddress(); address != "" {
		inner, err := listen(address)
		if err != nil {
			return fmt.Errorf("admin: %w", err)
		}
		inner.max = maxAdminConnections
		s.admin = inner
		forClients = []audience{forAll, forDevices, forTellers}
		s.open = append(s.open, door{s.secure(inner), http1.NewServer(newHTTP(cfg, s.routes(checked, forAll, forAdmins)))})
	}
	s.http = newHTTP(cfg, s.routes(checked, forClients...))
	s.open = append(s.open, door{s.secure(s.listener), http1.NewServer(s.http)})
	peers := newHTTP(cfg, s.routes(false, forAll, forDevices, forTellers, forAdmins)) // who passes a request on has asked
	peers.BaseContext = func(net.Listener) context.Context {
		return context.WithValue(context.Background(), passedOn{}, true)
	}
	s.open = append(s.open, door{s.node.Forwarded(), http1.NewServer(peers)})
	return nil
}

func newHTTP(cfg Config, handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout, // of a TLS handshake too
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
}
