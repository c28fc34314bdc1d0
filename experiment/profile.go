package experiment

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
)

// Profiles are files that the two ends write of themselves, for go tool pprof: each
// end is a process of its own, so each name becomes two (see profileOf). The zero
// value writes none. Between two machines the client's end alone writes.
type Profiles struct {
	CPU    string
	Memory string // what was allocated, by whom
}

// memoryRate is how many bytes are allocated between two that are noted: an end
// allocates little, once it runs nothing at all.
const memoryRate = 4096

// profileOf is the file of an end: cpu.pprof is cpu-client.pprof and
// cpu-server.pprof.
func profileOf(name, end string) string {
	extension := filepath.Ext(name)
	return strings.TrimSuffix(name, extension) + "-" + end + extension
}

// profile begins an end's profiles; stop writes them.
func (p Profiles) profile(end string) (stop func() error, err error) {
	var cpu, memory *os.File
	if p.Memory != "" {
		runtime.MemProfileRate = memoryRate
		if memory, err = os.Create(profileOf(p.Memory, end)); err != nil {
			return nil, err
		}
	}
	if p.CPU != "" {
		if cpu, err = os.Create(profileOf(p.CPU, end)); err == nil {
			err = pprof.StartCPUProfile(cpu)
		}
	}
	stop = func() error {
		var failed error
		if cpu != nil {
			pprof.StopCPUProfile()
			failed = cpu.Close()
		}
		if memory != nil {
			runtime.GC() // what is in use is known as of the last collection
			failed = errors.Join(failed, pprof.Lookup("allocs").WriteTo(memory, 0), memory.Close())
		}
		return failed
	}
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	return stop, nil
}
