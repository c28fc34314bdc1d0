package peer

import (
	"errors"
	"fmt"
	"time"

	"netcmp/netem"
	"netcmp/netem/tc"
)

// Impair is a path that the server makes on its side of the way, on top of what is
// there: netem (tc-netem(8)) on its device, in tc's words, for this session's port
// and for as long as the session lasts.
type Impair struct {
	Up   string `json:"up"`   // of what comes to the server; "" leaves it as it is
	Down string `json:"down"` // of what leaves it
}

// ServerPath is how a server makes the paths that its clients ask for.
type ServerPath struct {
	Device string // "" makes none
	Guard  tc.Guard
	take   func(tc.Setup, tc.Options) (held, error) // nil is the kernel's
}

// held is a path that is there until it is released.
type held interface{ Release() error }

// setup is the path as netem on a device, of the packets of a port alone.
func (p *Impair) setup(device string, port uint16) (s tc.Setup, err error) {
	up, err := netem.ParseForeign(p.Up)
	if err != nil {
		return s, fmt.Errorf("impair: path up %q: %w", p.Up, err)
	}
	s = tc.Setup{Device: device, Filter: tc.Filter{Port: port}}
	if s.Out, err = netem.ParseForeign(p.Down); err != nil {
		return s, fmt.Errorf("impair: path down %q: %w", p.Down, err)
	}
	if !up.IsClean() {
		s.In = &up
	}
	if up.IsClean() && s.Out.IsClean() {
		return s, errors.New("impair: a path that does nothing is what is there without")
	}
	return s, errors.Join(tc.Refuse(up), tc.Refuse(s.Out))
}

// pathLife is how long the path of a session may stay at the most.
func (x *session) pathLife() time.Duration {
	life := x.server.config.Limits.Duration
	if life == 0 {
		life = 24 * time.Hour
	}
	return life + lifeGrace
}

var errNoImpair = errors.New("the server makes no paths for its clients: it was not started with --allow-netem DEVICE")

// impair makes the path that the session asks for. There is one at a time, since a
// device has one netem.
func (x *session) impair() (notes []string, err error) {
	p := x.server.config.Path
	if p.Device == "" {
		return nil, errNoImpair
	}
	setup, err := x.spec.Impair.setup(p.Device, x.listener.Addr().Port())
	if err != nil {
		return nil, err
	}
	take := p.take
	if take == nil {
		take = func(s tc.Setup, o tc.Options) (held, error) { return tc.Take(s, o) }
	}
	path, err := take(setup, tc.Options{For: x.pathLife(), Guard: p.Guard})
	if errors.Is(err, tc.ErrApplied) {
		return nil, fmt.Errorf("the server's device %s has another path just now; try again later", p.Device)
	}
	if err != nil {
		return nil, fmt.Errorf("the server cannot make the path: %w", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return nil, errors.Join(errors.New("the session has ended"), path.Release())
	}
	x.path = path
	x.log.Info().Str("device", p.Device).Str("up", x.spec.Impair.Up).Str("down", x.spec.Impair.Down).Msg("path made")
	return setup.Warnings(), nil
}

// mend takes the session's path away, if it has one.
func (x *session) mend() {
	if x.path == nil {
		return
	}
	if err := x.path.Release(); err != nil {
		x.log.Error().Err(err).Str("device", x.server.config.Path.Device).Msg("the path is not yet undone: netcmp netem clear")
		return
	}
	x.log.Info().Str("device", x.server.config.Path.Device).Msg("path undone")
}
