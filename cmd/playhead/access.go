package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/playhead-load/playhead/server/token"
	"github.com/playhead-load/playhead/sim/driver"
)

// tokenLife is how long a token lives with which an outside target is asked something
// beside the plan.
const tokenLife = 5 * time.Minute

// accessFlags say what an outside target wants to see of who asks it.
type accessFlags struct {
	tokens string // file with the key that signs; empty: it asks for no tokens
	admin  string // URL at which plans are set; empty: those of the targets
	ca     string // file with who signed its certificates; empty: whom this machine trusts
}

func (f *accessFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.tokens, "tokens", "", "of a target that asks for tokens: its token file, to sign them with")
	flags.StringVar(&f.admin, "admin", "", "URL of the target's address for admins, at which plans are set (default: those of --target)")
	flags.StringVar(&f.ca, "ca", "", "who signed the target's certificates, PEM; without it whom this machine trusts")
}

// access is what the flags say, read. The zero value is of a cluster on loopback.
type access struct {
	tls    *tls.Config
	file   *token.File   // nil: the target asks for no tokens
	signer driver.Signer // of the file; nil without one
	admins []string      // URLs; empty: those of the target
}

// read reads the files, and refuses a token that would be sent in the clear.
func (f *accessFlags) read(targets []string) (a access, err error) {
	if len(targets) == 0 {
		if *f != (accessFlags{}) {
			return a, errors.New("--tokens, --admin and --ca are of a --target: playhead's own servers are on loopback, and ask for nothing")
		}
		return a, nil
	}
	if f.admin != "" {
		if a.admins, err = parseURLs("--admin", []string{f.admin}); err != nil {
			return a, err
		}
	}
	if a.tls, err = trusting(f.ca); err != nil || f.tokens == "" {
		return a, err
	}
	for _, target := range targets {
		if err := mayCarryToken("--target", target); err != nil {
			return a, err
		}
	}
	for _, admin := range a.admins {
		if err := mayCarryToken("--admin", admin); err != nil {
			return a, err
		}
	}
	if a.file, err = token.ReadFile(f.tokens); err != nil {
		return a, fmt.Errorf("--tokens: %w", err)
	}
	a.signer, err = a.file.Signer()
	return a, err
}

// trusting trusts who is named in the file of --ca; empty is whom this machine trusts.
func trusting(ca string) (*tls.Config, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca == "" {
		return settings, nil
	}
	text, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("--ca: %w", err)
	}
	settings.RootCAs = x509.NewCertPool()
	if !settings.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--ca: %s: expected certificates in PEM", ca)
	}
	return settings, nil
}

// mayCarryToken refuses to send a token in the clear to anywhere but this machine.
func mayCarryToken(flag, address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	if u.Scheme != "https" && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback() {
		return fmt.Errorf("%s: expected https to %s: a token is sent nowhere else in the clear than to this machine", flag, u.Host)
	}
	return nil
}

// devices is how the target is asked about accounts. A token is signed for each question.
func (a *access) devices() driver.Access {
	if a.file == nil {
		return driver.Access{TLS: a.tls}
	}
	return driver.Access{TLS: a.tls, Bearer: func(account uint64) string {
		issued, _ := a.file.Device(account, time.Now(), tokenLife) // the file was read, and the account is the population's
		return issued
	}}
}

// planned is how plans are set.
func (a *access) planned() driver.Access {
	if a.file == nil {
		return driver.Access{TLS: a.tls}
	}
	return driver.Access{TLS: a.tls, Bearer: func(uint64) string { return a.file.Admin[0] }}
}

// explained says which flag may be to blame for an error of asking the target.
func (a *access) explained(err error) error {
	var unknown x509.UnknownAuthorityError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unknown):
		return usageError{fmt.Errorf("%w: name who signed the target's certificate with --ca", err)}
	case !driver.IsRefusal(err):
		return err
	case a.file == nil:
		return usageError{fmt.Errorf("%w: a target that asks for tokens needs --tokens, and --admin for the plans", err)}
	}
	return usageError{fmt.Errorf("%w: --tokens must be the target's own token file, and --admin its address for admins", err)}
}
