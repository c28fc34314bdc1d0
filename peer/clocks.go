package peer

import (
	"context"
	"os"
	"strings"

	"netcmp/clock"
)

// clockReadings is how often the server's clock is read.
const clockReadings = 8

// clocks is how the server's clock stands to the client's.
type clocks struct {
	offset      int64 // the server's less the client's, right to uncertainty
	uncertainty int64
	exchange    int64 // the shortest exchange over the control channel; 0 on one host, where it takes next to nothing
	source      string
}

// readClock finds how far the server's clock is ahead of ours: not at all on
// one host; else from the exchange that took the least time, half of which it
// may be wrong by.
func (c *control) readClock(ctx context.Context) (clocks, error) {
	best := clocks{source: "estimated over the control channel"}
	own := bootID()
	for i := range clockReadings {
		before := clock.Now()
		var reading clockReading
		if err := c.call(ctx, "GET", "/v1/clock", nil, &reading); err != nil {
			return clocks{}, err
		}
		took := clock.Now() - before
		if reading.BootID != "" && reading.BootID == own {
			return clocks{source: "one host, CLOCK_MONOTONIC"}, nil
		}
		if i == 0 || took < best.exchange {
			best.exchange, best.uncertainty = took, took/2
			best.offset = reading.NowNS - before - took/2
		}
	}
	return best, nil
}

// bootID tells hosts apart.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
