package quic

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	quicgo "github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlogwriter"

	"netcmp/transport"
)

// tracer makes the trace of a connection; what it gives may be nil.
type tracer func(ctx context.Context, client bool, id quicgo.ConnectionID) qlogwriter.Trace

// qlogTo gives a tracer that writes a file for each connection into dir, named
// as qvis wants them. The host waits for the files to be whole.
func (h *host) qlogTo(dir string) (tracer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // what the user has asked for, under his umask
		return nil, fmt.Errorf("qlog: %w", err)
	}
	return func(_ context.Context, client bool, id quicgo.ConnectionID) qlogwriter.Trace {
		end := "server"
		if client {
			end = "client"
		}
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s_%s.sqlog", id, end)))
		if err != nil {
			return nil
		}
		trace := qlogwriter.NewConnectionFileSeq(buffered{bufio.NewWriter(f), f}, client, id)
		h.tracing.Go(trace.Run)
		return trace
	}, nil
}

// traceTo has connections traced by tracers, and into files where that is asked
// for.
func (h *host) traceTo(config *quicgo.Config, asked transport.Traces, tracers []tracer) error {
	if asked.QlogDir != "" {
		t, err := h.qlogTo(asked.QlogDir)
		if err != nil {
			return err
		}
		tracers = append(tracers, t)
	}
	if len(tracers) > 0 {
		config.Tracer = trace(tracers...)
	}
	return nil
}

// buffered is a file with a buffer before it.
type buffered struct {
	*bufio.Writer
	f *os.File
}

// Close writes what is left.
func (b buffered) Close() error { return errors.Join(b.Flush(), b.f.Close()) }

// trace makes one trace of all that tracers give, nil if they give none.
func trace(tracers ...tracer) tracer {
	return func(ctx context.Context, client bool, id quicgo.ConnectionID) qlogwriter.Trace {
		var all traces
		for _, t := range tracers {
			if one := t(ctx, client, id); one != nil {
				all = append(all, one)
			}
		}
		if len(all) == 0 {
			return nil
		}
		return all
	}
}

// traces are several as one.
type traces []qlogwriter.Trace

// AddProducer adds one to each.
func (t traces) AddProducer() qlogwriter.Recorder {
	var all recorders
	for _, one := range t {
		all = append(all, one.AddProducer())
	}
	return all
}

// recorders are several as one.
type recorders []qlogwriter.Recorder

// RecordEvent tells each.
func (r recorders) RecordEvent(e qlogwriter.Event) {
	for _, one := range r {
		one.RecordEvent(e)
	}
}

// Close closes each.
func (r recorders) Close() error {
	var err error
	for _, one := range r {
		err = errors.Join(err, one.Close())
	}
	return err
}
