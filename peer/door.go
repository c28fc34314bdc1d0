package peer

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// door looks at who comes in by a server's listener: whoever has too many
// connections is sent away, and so is who says nothing for too long. What is idle
// between two requests, net/http closes itself.
type door struct {
	idle     time.Duration // until the first words; 0: for ever
	limit    int           // connections of a client address; 0: any number
	refusals refusals

	mu      sync.Mutex
	inside  map[net.Conn]*guest
	clients map[netip.Prefix]int // connections
}

// guest is a connection that was let in.
type guest struct {
	client netip.Prefix
	silent *time.Timer // ends a connection that says nothing; nil for none
}

// state is net/http's hook (http.Server.ConnState). It is called before anything is
// read of a new connection.
func (d *door) state(c net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		if !d.enter(c) {
			d.refusals.tell(c.RemoteAddr().String(), "connections", "connection refused: the client's address has its limit of them (--client-limit)")
			refuseConn(c)
		}
	case http.StateActive:
		d.heard(c)
	case http.StateClosed, http.StateHijacked:
		d.leave(c)
	}
}

// enter lets a connection in, unless its client has enough of them.
func (d *door) enter(c net.Conn) bool {
	g := new(guest)
	if a, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		g.client, _ = network(a.Addr()) // in the lab the channel is a socket pair and has no address
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if g.client.IsValid() {
		if d.limit > 0 && d.clients[g.client] >= d.limit {
			return false
		}
		if d.clients == nil {
			d.clients = map[netip.Prefix]int{}
		}
		d.clients[g.client]++
	}
	if d.idle > 0 {
		g.silent = time.AfterFunc(d.idle, func() { _ = c.Close() })
	}
	if d.inside == nil {
		d.inside = map[net.Conn]*guest{}
	}
	d.inside[c] = g
	return true
}

// heard notes that the client has begun to ask.
func (d *door) heard(c net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if g := d.inside[c]; g != nil && g.silent != nil {
		g.silent.Stop()
	}
}

// leave notes that a connection has ended; of one that was refused there is nothing
// to note.
func (d *door) leave(c net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.inside[c]
	if g == nil {
		return
	}
	delete(d.inside, c)
	if g.silent != nil {
		g.silent.Stop()
	}
	if !g.client.IsValid() {
		return
	}
	if d.clients[g.client]--; d.clients[g.client] == 0 {
		delete(d.clients, g.client)
	}
}

// network is what counts as one client: an address, of IPv6 the 64 bits that a
// subnet has, in which a host chooses its addresses as it likes (RFC 4291 §2.5.1,
// RFC 8981). It says false for no address.
func network(a netip.Addr) (netip.Prefix, bool) {
	if !a.IsValid() {
		return netip.Prefix{}, false
	}
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	return p, err == nil
}

// refuseConn resets a connection, so that its client learns at once that it was not
// let in, and this end keeps nothing of it.
func refuseConn(c net.Conn) {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn() // of TLS, which would say goodbye first
	}
	if t, ok := c.(interface{ SetLinger(sec int) error }); ok {
		_ = t.SetLinger(0) // then Close resets (socket(7))
	}
	_ = c.Close()
}
