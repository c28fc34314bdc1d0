package ledger

import (
	"flag"
	"os"
	"testing"
)

// Property tests draw the same every time; -rapid.seed on the command line
// still rules.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"rapid.seed": "4737", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
