package lesson

import (
	"errors"

	"golang.org/x/sys/unix"

	"netcmp/clock"
	"netcmp/message"
	"netcmp/pacer"
)

// Speak sends N messages of Size bytes, one Every so often, and tells when it sent
// each.
func (h *host) Speak(o Order, d *Done) error {
	return h.with(&o, d, func(fd int) error {
		return paced(&o, d, func(b []byte) error {
			_, err := unix.SendmsgN(fd, b, nil, nil, unix.MSG_NOSIGNAL)
			return err
		})
	})
}

// paced hands the messages of an order to send, each at its time, and notes when.
func paced(o *Order, d *Done, send func([]byte) error) error {
	w := pacer.New()
	defer w.Close()
	begin := clock.Now()
	for i := range o.N {
		due := begin + int64(i)*int64(o.Every)
		w.Until(due, nil, nil)
		b := make([]byte, o.Size)
		message.Seal(b, message.Header{Number: uint64(i), Planned: due, Sent: clock.Now()})
		d.Times = append(d.Times, now())
		if err := send(b); err != nil {
			return err
		}
	}
	return nil
}

// Hear reads N messages of Size bytes, or as many as come before nothing does for
// as long as it has patience, and tells when it had read each; 0: never.
func (h *host) Hear(o Order, d *Done) error {
	d.Times = make([]int64, o.N)
	return h.with(&o, d, func(fd int) error {
		// A thread that waits as a pacer does is woken soon, also on a busy machine.
		w := pacer.New()
		defer w.Close()
		size := 1 << 16
		if o.Proto == "tcp" {
			size = o.Size // of a stream the rest of a message at a time
		}
		buffer := make([]byte, size)
		filled := 0
		for left := o.N; left > 0; {
			if err := await(fd, unix.POLLIN, &o); err != nil {
				return err
			}
			n, _, err := unix.Recvfrom(fd, buffer[filled:], 0)
			if err != nil {
				return err
			}
			if n == 0 {
				return nil
			}
			d.N += n
			if filled += n; filled < o.Size {
				continue
			}
			at := now()
			m, err := message.Parse(buffer[:filled])
			if err != nil {
				return err
			}
			if m.Number >= uint64(o.N) || d.Times[m.Number] != 0 {
				return errors.New("a message came that was not sent, or twice")
			}
			d.Times[m.Number] = at
			filled = 0
			left--
		}
		return nil
	})
}
