package secure_test

import (
	"crypto/tls"
	"net"
	"testing"

	"netcmp/transport/secure"
)

// A client trusts the one server whose certificate it was given.
func TestPinned(t *testing.T) {
	mine, certificate, err := secure.Server(false)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := secure.Server(false)
	if err != nil {
		t.Fatal(err)
	}
	client, err := secure.Client(certificate, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name    string
		server  *tls.Config
		trusted bool
	}{{"the one", mine, true}, {"another", other, false}} {
		a, b := pair(t)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = tls.Server(b, x.server).Handshake() // the client says how it went
		}()
		err := tls.Client(a, client).Handshake()
		a.Close()
		<-ended
		b.Close()
		if (err == nil) != x.trusted {
			t.Errorf("%s: %v", x.name, err)
		}
	}
	for name, c := range map[string][]byte{"none": nil, "garbage": []byte("x")} {
		if _, err := secure.Client(c, nil); err == nil {
			t.Errorf("a client took %s for a certificate", name)
		}
	}
}

// pair is a connection with room for what both ends say at once, which a
// net.Pipe has not.
func pair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}
