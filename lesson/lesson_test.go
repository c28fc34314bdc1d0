package lesson

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"netcmp/lab"
)

func TestMain(m *testing.M) {
	lab.Dispatch(Roles())
	goleak.VerifyTestMain(m)
}

// TestLessons: what each lesson teaches is true on this machine.
func TestLessons(t *testing.T) {
	for _, l := range Lessons() {
		t.Run(l.Name, func(t *testing.T) {
			began := time.Now()
			d, err := l.Run(t.Context())
			if errors.Is(err, lab.ErrUnsupported) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("took %v", time.Since(began))
			if testing.Verbose() {
				_ = d.Text(t.Output(), 120)
			}
			for _, a := range d.Failed() {
				t.Errorf("%s: expected %s, measured %s", a.Name, a.Expected, a.Measured)
			}
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("it took %v", took)
			}
			whole(t, d)
		})
	}
}

// whole: every scene says something, holds it against something, and has packets;
// and the document is the same after a way through JSON.
func whole(t *testing.T, d *Document) {
	t.Helper()
	for _, s := range d.Scenes {
		if len(s.Steps) == 0 || len(s.Assertions) == 0 || len(s.Packets) != len(s.Ladder.Rungs) || len(s.Packets) == 0 {
			t.Errorf("%s: %d sentences, %d assertions, %d packets, %d rungs", s.Title, len(s.Steps), len(s.Assertions), len(s.Packets), len(s.Ladder.Rungs))
		}
		for _, p := range s.Packets {
			if p.Proto == "" || (p.Proto == "tcp") != (p.TCP != nil) || p.SentNS == nil {
				t.Errorf("%s: a packet that was not sent, or not decoded: %+v", s.Title, p)
			}
		}
	}
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var again Document
	if err := json.Unmarshal(b, &again); err != nil {
		t.Fatal(err)
	}
	c, err := json.Marshal(again)
	if err != nil || string(b) != string(c) {
		t.Errorf("the document is another one after a way through JSON: %v", err)
	}
}

func TestUnknownLesson(t *testing.T) {
	_, err := Find("shake")
	if !errors.Is(err, ErrUnknown) {
		t.Fatal(err)
	}
	for _, l := range Lessons() {
		if !strings.Contains(err.Error(), l.Name) {
			t.Errorf("%q does not name %s", err, l.Name)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q has more than a line", err)
	}
}
