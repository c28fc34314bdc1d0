package doctor

import (
	"testing"

	"go.uber.org/goleak"

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
