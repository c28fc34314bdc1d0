package lesson

import (
	"io"
	"net"
	"net/http"

	"github.com/quic-go/quic-go/http3"

	"netcmp/transport/secure"
)

// Serve3 begins to answer by HTTP/3 at To, and gives the certificate that its clients
// are to trust. Calls of a socket alone would not do here.
func (h *host) Serve3(o Order, d *Done) error {
	config, certificate, err := secure.Server(false)
	if err != nil {
		return err
	}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(o.To))
	if err != nil {
		return err
	}
	s := &http3.Server{
		TLSConfig: http3.ConfigureTLSConfig(config),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, webPage)
		}),
	}
	go func() { _ = s.Serve(conn) }() // until the program ends
	d.Certificate = certificate
	return nil
}

// Get3 asks To for its page N times by HTTP/3, and gives how many bytes it read of the
// answers.
func (h *host) Get3(o Order, d *Done) error {
	config, err := secure.Client(o.Certificate, nil)
	if err != nil {
		return err
	}
	t := &http3.Transport{TLSClientConfig: config, DisableCompression: true}
	defer t.Close()
	return get(&http.Client{Transport: t, Timeout: patience}, "https://"+o.To.String()+"/", &o, d)
}
