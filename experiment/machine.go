package experiment

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"netcmp/result"
)

// environment is the machine that the experiment runs on.
func environment() result.Environment {
	e := result.Environment{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), GoVersion: runtime.Version()}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		e.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	if b, err := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control"); err == nil {
		e.CongestionDefault = strings.TrimSpace(string(b))
	}
	return e
}

// processorTime is what the machine's processors did since it started, in
// ticks (proc(5), /proc/stat).
type processorTime struct {
	all, idle, stolen int64
	known             bool
}

func readProcessorTime() processorTime {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return processorTime{}
	}
	return parseProcessorTime(string(b))
}

// parseProcessorTime reads the first line: user, nice, system, idle, iowait,
// irq, softirq, steal; what follows is in user and nice already.
func parseProcessorTime(stat string) processorTime {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return processorTime{}
	}
	p := processorTime{known: true}
	for i, f := range fields[1:9] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return processorTime{}
		}
		p.all += n
		switch i {
		case 3, 4:
			p.idle += n
		case 7:
			p.stolen = n
		}
	}
	return p
}

// shares are what part of the time since before the processors were busy, and
// what part a hypervisor kept from them; nil where that is not known.
func (p processorTime) shares(before processorTime) (busy, stolen *float64) {
	all := float64(p.all - before.all)
	if !p.known || !before.known || all <= 0 {
		return nil, nil
	}
	return new(1 - float64(p.idle-before.idle)/all), new(float64(p.stolen-before.stolen) / all)
}
