package doctor

import (
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"netcmp/lab"
)

func TestMain(m *testing.M) {
	lab.Dispatch(Roles())
	goleak.VerifyTestMain(m)
}

// Each thing is named once and found to be something, and what is not good
// comes with its mend. Whatever this machine lacks, examining it does not fail.
func TestExamine(t *testing.T) {
	seen := map[string]State{}
	for _, c := range Examine(t.Context()) {
		t.Logf("%+v", c)
		if _, twice := seen[c.Name]; twice || c.Name == "" || c.Found == "" {
			t.Errorf("%+v", c)
		}
		if c.State != Good && c.Mend == "" {
			t.Errorf("%s is %s, and nothing says what to do", c.Name, c.State)
		}
		seen[c.Name] = c.State
	}
	if _, tried := seen["path"]; tried != (seen["lab"] == Good) {
		t.Errorf("lab is %s, path was tried: %v", seen["lab"], tried)
	}
}

// Wherever a socket takes the two options, a train comes as they say.
func TestTrainComes(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	takes := func(option int) bool { return unix.SetsockoptInt(fd, unix.SOL_UDP, option, 1) == nil }
	segment, coalesce := takes(unix.UDP_SEGMENT), takes(unix.UDP_GRO)
	if got := trainComes(false); got != segment {
		t.Errorf("in pieces: %v, the socket takes UDP_SEGMENT: %v", got, segment)
	}
	if got := trainComes(true); got != (segment && coalesce) {
		t.Errorf("whole: %v, the socket takes UDP_GRO: %v", got, coalesce)
	}
}
