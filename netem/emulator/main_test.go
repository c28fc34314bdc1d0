package emulator

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The same properties of the same cases each time; -rapid.seed on the
	// command line tries others.
	if err := flag.Set("rapid.seed", "1"); err != nil {
		os.Exit(2)
	}
	goleak.VerifyTestMain(m)
}
