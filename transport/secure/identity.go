package secure

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strings"
	"time"
)

// issue makes a key and a certificate of its own for it (DER).
func issue(until time.Time) (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: begun, NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return key, certificate, err
}

// NewIdentity makes what a server is known by for as long as it runs: a key, and a
// certificate that nobody has signed but itself. Clients know it by its Fingerprint.
func NewIdentity() (tls.Certificate, error) {
	key, certificate, err := issue(begun.AddDate(100, 0, 0))
	return tls.Certificate{Certificate: [][]byte{certificate}, PrivateKey: key}, err
}

// LoadIdentity reads an identity from a file of PEM, and makes one there, for its owner
// alone to read, if there is no such file.
func LoadIdentity(file string) (tls.Certificate, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		if b, err = keepIdentity(file); err != nil {
			return tls.Certificate{}, err
		}
	}
	if err != nil {
		return tls.Certificate{}, err
	}
	c, err := tls.X509KeyPair(b, b)
	if err != nil {
		return c, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// keepIdentity makes an identity and writes it to a file that must not be there.
func keepIdentity(file string) ([]byte, error) {
	key, certificate, err := issue(begun.AddDate(100, 0, 0))
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	b := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})...)
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(b)
	return b, errors.Join(err, f.Close())
}

// fingerprintOf is a fingerprint's prefix: the hash that it is.
const fingerprintOf = "sha256:"

// Fingerprint is what a certificate (DER) is known by: its SHA-256, in the letters of
// base64url.
func Fingerprint(certificate []byte) string {
	sum := sha256.Sum256(certificate)
	return fingerprintOf + base64.RawURLEncoding.EncodeToString(sum[:])
}

// ErrFingerprint says that a text is no fingerprint.
var ErrFingerprint = errors.New("is no fingerprint: give what the server has printed, sha256: and 43 letters")

// ErrStranger is of a client that meets another server than the one it was told of.
var ErrStranger = errors.New("this is not the server that was meant")

// Pinned makes the configuration of a client that trusts the server of that
// fingerprint and no other. With none it trusts whom this machine's certificate
// authorities vouch for under the server's name.
func Pinned(fingerprint string) (*tls.Config, error) {
	if fingerprint == "" {
		return &tls.Config{MinVersion: tls.VersionTLS13}, nil
	}
	sum, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(fingerprint, fingerprintOf))
	if err != nil || len(sum) != sha256.Size || !strings.HasPrefix(fingerprint, fingerprintOf) {
		return nil, fmt.Errorf("%q %w", fingerprint, ErrFingerprint)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// The certificate itself is known, so that nobody has to vouch for it: what is
		// verified instead is in VerifyConnection.
		InsecureSkipVerify: true, //nolint:gosec // see above
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return ErrStranger
			}
			met := Fingerprint(s.PeerCertificates[0].Raw)
			if subtle.ConstantTimeCompare([]byte(met), []byte(fingerprint)) != 1 {
				return fmt.Errorf("%w: its fingerprint is %s, and not %s", ErrStranger, met, fingerprint)
			}
			return nil
		},
	}, nil
}
