package peer

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Property tests draw the same every time; -rapid.seed on the command line
// still rules.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"rapid.seed": "2330", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}
