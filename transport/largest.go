package transport

import "fmt"

// Largest is the largest message of a session that asks c of a transport with
// these properties. A session that wants more than the transport carries is
// told so before it begins.
func (p Properties) Largest(c Config) (int, error) {
	switch {
	case c.MaxMessage < 0:
		return 0, fmt.Errorf("transport: a largest message of %d bytes", c.MaxMessage)
	case c.MaxMessage == 0:
		return p.MaxMessage, nil
	case c.MaxMessage > p.MaxMessage:
		return 0, fmt.Errorf("%w: %d bytes, and the transport carries %d", ErrTooLarge, c.MaxMessage, p.MaxMessage)
	default:
		return c.MaxMessage, nil
	}
}
