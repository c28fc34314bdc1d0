// Package secure is what encrypted transports share: a certificate made in
// memory for one session, and trust in that one alone.
package secure

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"
)

// name is what every certificate is for: it is known by its bytes, not by the
// host's name.
const name = "netcmp"

// begun is the time that certificates are made for and looked at, so that
// clocks that disagree do not matter.
var begun = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// Server makes the configuration of a listener with a certificate of its own,
// and gives the certificate (DER), which the client has to be told by another
// way. If its sessions are resumable it gives each connection a ticket: without
// that, tickets are bytes that the experiment did not send.
func Server(resumable bool) (config *tls.Config, certificate []byte, err error) {
	key, certificate, err := issue(begun.AddDate(1, 0, 0))
	if err != nil {
		return nil, nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{name},
		Certificates:           []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}},
		SessionTicketsDisabled: !resumable,
	}, certificate, nil
}

// KeyLog makes a client add its secrets to a file, in the form that Wireshark
// reads (SSLKEYLOGFILE, RFC 9850). The file is closed by close; "" is none.
func KeyLog(c *tls.Config, name string) (close func(), err error) {
	if name == "" {
		return func() {}, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("key log: %w", err)
	}
	c.KeyLogWriter = f
	return func() { _ = f.Close() }, nil
}

// errNoCertificate is of a client that was not told whom to trust.
var errNoCertificate = errors.New("secure: the server's certificate is not known")

// Client makes the configuration of a client that trusts the server with that
// certificate (DER) and no other, and keeps its tickets in sessions, which may be
// nil.
func Client(certificate []byte, sessions tls.ClientSessionCache) (*tls.Config, error) {
	if len(certificate) == 0 {
		return nil, errNoCertificate
	}
	c, err := x509.ParseCertificate(certificate)
	if err != nil {
		return nil, fmt.Errorf("secure: the server's certificate: %w", err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(c)
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{name}, ServerName: name, RootCAs: trusted,
		ClientSessionCache: sessions,
		Time:               func() time.Time { return c.NotBefore.Add(time.Hour) },
	}, nil
}
