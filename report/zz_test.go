package report
import "testing"
func TestZZ(t *testing.T){ _,err:=ParseExpect("foo>1"); t.Log(err) }
