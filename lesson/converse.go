package lesson

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// What the lessons need of a conversation beyond single system calls: who answers
// must do so at once, and not when the script says so.

// Set sets an option of a socket, to a name or a number.
func (h *host) Set(o Order, d *Done) error {
	return h.with(&o, d, func(fd int) error {
		if o.Text != "" {
			return unix.SetsockoptString(fd, o.Level, o.Option, o.Text)
		}
		return unix.SetsockoptInt(fd, o.Level, o.Option, o.N)
	})
}

// pour sends so many bytes, however long the socket takes for them.
func pour(fd, n int, o *Order) error {
	for b := make([]byte, n); len(b) > 0; {
		sent, err := unix.SendmsgN(fd, b, nil, nil, unix.MSG_NOSIGNAL)
		if errors.Is(err, unix.EAGAIN) {
			sent, err = 0, await(fd, unix.POLLOUT, o)
		}
		if err != nil {
			return err
		}
		b = b[sent:]
	}
	return nil
}

// drain reads so many bytes. io.EOF is that the other end has hung up in front of
// the first of them.
func drain(fd, n int, o *Order) error {
	b := make([]byte, 1<<16)
	for left := n; left > 0; {
		if err := await(fd, unix.POLLIN, o); err != nil {
			return err
		}
		got, _, err := unix.Recvfrom(fd, b[:min(left, len(b))], 0)
		switch {
		case err != nil:
			return err
		case got == 0 && left == n:
			return io.EOF
		case got == 0:
			return io.ErrUnexpectedEOF
		}
		left -= got
	}
	return nil
}

// Pour sends N bytes.
func (h *host) Pour(o Order, d *Done) error {
	return h.with(&o, d, func(fd int) error { return pour(fd, o.N, &o) })
}

// Drain reads N bytes.
func (h *host) Drain(o Order, d *Done) error {
	return h.with(&o, d, func(fd int) error { return drain(fd, o.N, &o) })
}

// Ask asks N questions of Size bytes, each when the one before is answered, in as
// many calls of send() as there are Pieces.
func (h *host) Ask(o Order, d *Done) error {
	return h.with(&o, d, func(fd int) error { return ask(fd, &o) })
}

func ask(fd int, o *Order) error {
	for range o.N {
		for left, pieces := o.Size, max(o.Pieces, 1); pieces > 0; pieces-- {
			n := left / pieces
			if err := pour(fd, n, o); err != nil {
				return err
			}
			left -= n
		}
		if err := drain(fd, o.Answer, o); err != nil {
			return err
		}
	}
	return nil
}

// Attend takes as many calls, one after the other, as it is told to, and answers
// questions of Size bytes until who called hangs up.
func (h *host) Attend(o Order, d *Done) error {
	return h.with(&o, d, func(listener int) error {
		for range o.Calls {
			if err := await(listener, unix.POLLIN, &o); err != nil {
				return err
			}
			fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
			if err == nil {
				err = errors.Join(attend(fd, &o), unix.Close(fd))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func attend(fd int, o *Order) error {
	// What is said is to leave when it is said.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	for {
		err := drain(fd, o.Size, o)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = pour(fd, o.Answer, o)
		}
		if err != nil {
			return err
		}
	}
}

// Consult asks N questions, the same number of them in each of so many Calls.
func (h *host) Consult(o Order, d *Done) error {
	return d.call(func() error {
		for range o.Calls {
			if err := consult(&o); err != nil {
				return err
			}
		}
		return nil
	})
}

func consult(o *Order) (err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	if err := connect(fd, o); err != nil {
		return err
	}
	part := *o
	part.N /= o.Calls
	return ask(fd, &part)
}
