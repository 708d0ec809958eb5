package raft

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// Identity is what a node shows to the others, and how it knows them: TLS 1.3 with
// a certificate on both sides.
type Identity struct {
	// Certificate is this node's, for clients and for servers. Its DNS names are
	// the ids that it may have; without any its common name is.
	Certificate tls.Certificate
	// Authorities sign the certificates of nodes. Whoever holds one of them may
	// speak on the raft port, so that they sign for nobody else.
	Authorities *x509.CertPool
}

// Check says why the other nodes would not take this identity for that of nodeID.
func (i Identity) Check(nodeID string, now time.Time) error {
	leaf := i.Certificate.Leaf
	if leaf == nil || i.Authorities == nil {
		return errors.New("no certificate")
	}
	if !namesNode(leaf, nodeID) {
		return wrongName(leaf, nodeID)
	}
	between := x509.NewCertPool()
	for _, der := range i.Certificate.Certificate[1:] {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("chain of the certificate: %w", err)
		}
		between.AddCert(certificate)
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if _, err := leaf.Verify(x509.VerifyOptions{
			Roots: i.Authorities, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage},
		}); err != nil {
			return fmt.Errorf("as one of servers and of clients: %w", err)
		}
	}
	return nil
}

// namesNode compares ids as they are: no wildcards.
func namesNode(leaf *x509.Certificate, id string) bool { return slices.Contains(namesOf(leaf), id) }

func namesOf(leaf *x509.Certificate) []string {
	if len(leaf.DNSNames) == 0 {
		return []string{leaf.Subject.CommonName}
	}
	return leaf.DNSNames
}

func wrongName(leaf *x509.Certificate, expected string) error {
	return fmt.Errorf("the certificate names %q, expected the node %q", strings.Join(namesOf(leaf), ", "), expected)
}

// forAccepting is how a node meets one that connected.
func (i Identity) forAccepting() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{i.Certificate},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: i.Authorities,
		SessionTicketsDisabled: true, // who reads what nobody asked for cannot tell that from the end
	}
}

// forDialling is how a node meets the one it connected to; an empty nodeID is any.
func (i Identity) forDialling(nodeID string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{i.Certificate},
		InsecureSkipVerify: true, // of host names: nodes are known by their ids, which VerifyConnection looks at
		VerifyConnection: func(state tls.ConnectionState) error {
			leaf, between := state.PeerCertificates[0], x509.NewCertPool()
			for _, certificate := range state.PeerCertificates[1:] {
				between.AddCert(certificate)
			}
			if _, err := leaf.Verify(x509.VerifyOptions{
				Roots: i.Authorities, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			}); err != nil {
				return err
			}
			if nodeID != "" && !namesNode(leaf, nodeID) {
				return wrongName(leaf, nodeID)
			}
			return nil
		},
	}
}

// secureConn ends without a farewell: one to a peer that does not read would take
// seconds.
type secureConn struct{ *tls.Conn }

// Close implements net.Conn.
func (c secureConn) Close() error { return c.NetConn().Close() }

// names reports whether the peer proved to have this id; in the clear all are believed.
func names(conn net.Conn, id string) bool {
	secure, ok := conn.(secureConn)
	return !ok || namesNode(secure.ConnectionState().PeerCertificates[0], id)
}

// prove makes of an open connection one to the node of this id, or to any for an
// empty one. The connection is closed when that fails. A nil identity believes.
func prove(ctx context.Context, conn net.Conn, identity func() Identity, nodeID string) (net.Conn, error) {
	if identity == nil {
		return conn, nil
	}
	secure := tls.Client(conn, identity().forDialling(nodeID))
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("prove the node at %s: %w", conn.RemoteAddr(), err), conn.Close())
	}
	return secureConn{secure}, nil
}
