package lesson

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"netcmp/capture"
	"netcmp/lab"
)

func TestMain(m *testing.M) {
	lab.Dispatch(Roles())
	goleak.VerifyTestMain(m)
}

// TestLessons: what each lesson teaches is true on this machine. While one has nothing
// to do but to wait, the next ones are played.
func TestLessons(t *testing.T) {
	waiting := map[string]*playing{}
	for _, l := range Lessons() {
		t.Run(l.Name, func(t *testing.T) {
			if testing.Short() && slices.Contains([]string{"claims", "ttl", "http", "acks", "time-wait", "connections"}, l.Name) {
				t.Skip("the race detector has seen in others what this one is made of")
			}
			p := begin(context.WithoutCancel(t.Context()), l)
			select {
			case <-p.over:
				p.check(t)
			case <-p.waits:
				waiting[l.Name] = p
			}
		})
	}
	for name, p := range waiting {
		t.Run(name+" to its end", func(t *testing.T) {
			<-p.over
			p.check(t)
		})
	}
}

// playing is a lesson that is being played.
type playing struct {
	waits chan struct{} // closed when it begins to wait for something that takes long
	over  chan struct{} // closed when it is over; the rest is valid then

	pcap   map[string]*bytes.Buffer // of each host's device
	d      *Document
	err    error
	took   time.Duration
	waited time.Duration
}

// begin begins to play a lesson; a short run is a quick one.
func begin(ctx context.Context, l Lesson) *playing {
	p := &playing{waits: make(chan struct{}), over: make(chan struct{}), pcap: map[string]*bytes.Buffer{}}
	files := capture.Files{}
	for _, device := range []string{capture.Client, capture.Server} {
		p.pcap[device] = &bytes.Buffer{}
		files[device] = p.pcap[device]
	}
	began := time.Now()
	var once sync.Once
	o := Options{Pcap: files, Quick: testing.Short(), Waiting: func(_ string, elapsed, _ time.Duration) {
		p.waited = elapsed
		once.Do(func() { close(p.waits) })
	}}
	go func() {
		defer close(p.over)
		p.d, p.err = l.Run(ctx, o)
		p.took = time.Since(began)
	}()
	return p
}

func (p *playing) check(t *testing.T) {
	if errors.Is(p.err, lab.ErrUnsupported) {
		t.Skip(p.err)
	}
	if p.err != nil {
		t.Fatal(p.err)
	}
	t.Logf("took %v", p.took)
	if testing.Verbose() {
		_ = p.d.Text(t.Output(), 120)
	}
	for _, a := range p.d.Failed() {
		// The race detector, whose run is a short one, makes a program's memory another.
		if testing.Short() && strings.HasPrefix(a.Name, "memory of") {
			continue
		}
		// It makes its work ten times as much, too: what takes how long, the first run holds.
		if a.Disturbed || a.Timed && testing.Short() {
			t.Logf("%s: expected %s, measured %s", a.Name, a.Expected, a.Measured)
			continue
		}
		t.Errorf("%s: expected %s, measured %s", a.Name, a.Expected, a.Measured)
	}
	// The race detector, whose run is a short one, starts a lab's programs slowly.
	if took := p.took - p.waited; took > 30*time.Second && !p.d.late() && !testing.Short() {
		t.Errorf("it took %v, beside what it waited for", took)
	}
	whole(t, p.d)
	sharkAgrees(t, p.d, p.pcap)
}

// late says whether this machine disturbed any scene.
func (d *Document) late() bool {
	return slices.ContainsFunc(d.Scenes, func(s *Scene) bool { return s.LateNS > int64(lateMax) })
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

// A verdict follows from the findings alone: what held under every condition holds,
// what held under none does not, and of the rest it is said when.
func TestVerdict(t *testing.T) {
	s := &Scene{Title: "a scene"}
	for n := range 1 << 3 {
		c := &Claim{}
		var when []string
		for i := range 3 {
			condition := fmt.Sprintf("condition %d", i)
			if n>>i&1 == 1 {
				when = append(when, condition)
			}
			c.found(s, n>>i&1 == 1, condition, "%d", i)
		}
		want := HoldsWhen + " " + strings.Join(when, ", or ")
		switch len(when) {
		case 0:
			want = DoesNotHold
		case 3:
			want = Holds
		}
		if c.String() != want || len(c.Findings) != 3 || c.Findings[2].Measured != "2" {
			t.Errorf("%03b: %q, want %q", n, c, want)
		}
	}
}

// A claim is shown in every form: what it means, the verdict, and what that stands on.
func TestClaimsAreShown(t *testing.T) {
	s := &Scene{Title: "A scene", Ladder: capture.NewLadder("", nil, 0)}
	d := &Document{Name: "a-lesson", Scenes: []*Scene{s}}
	c := d.claim("Hens have teeth.", "a tooth is found")
	c.found(s, false, "they are young", "%d teeth", 0)
	c.found(s, true, "they are old", "%d teeth", 7)
	for form, write := range map[string]func(io.Writer) error{
		"text":     func(w io.Writer) error { return d.Text(w, 0) },
		"markdown": func(w io.Writer) error { return d.Markdown(w, func(int) string { return "a.svg" }) },
		"HTML":     d.HTML,
		"JSON":     func(w io.Writer) error { return json.NewEncoder(w).Encode(d) },
	} {
		var b strings.Builder
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"Hens have teeth.", "a tooth is found", "holds when", "they are young", "0 teeth", "they are old", "7 teeth"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s does not say %q:\n%s", form, want, b.String())
			}
		}
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

// An interrupt ends a lesson in the middle, and nothing is left of it.
func TestInterruptedLesson(t *testing.T) {
	l, err := Find("close")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	began := time.Now()
	d, err := l.Run(ctx, Options{})
	if errors.Is(err, lab.ErrUnsupported) {
		t.Skip(err)
	}
	if d != nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, %v", d, err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v to end", took)
	}
}

// What does not hold is told, and named in every form.
func TestFailedAssertion(t *testing.T) {
	s := &Scene{Title: "A scene", Ladder: capture.NewLadder("", nil, 0)}
	equal(s, "true", 1, 1)
	equal(s, "untrue", 3, 4)
	s.between("early", time.Second, 2*time.Second, time.Second-1)
	s.between("late", time.Second, 2*time.Second, 2*time.Second+1)
	s.between("punctual", time.Second, time.Second, time.Second)
	d := &Document{Name: "a-lesson", Scenes: []*Scene{s}}
	var names []string
	for _, a := range d.Failed() {
		names = append(names, a.Name)
	}
	if got := strings.Join(names, ","); got != "untrue,early,late" {
		t.Errorf("what failed is %s", got)
	}
	for form, write := range map[string]func(io.Writer) error{
		"DOES NOT HOLD": func(w io.Writer) error { return d.Text(w, 0) },
		"**no**":        func(w io.Writer) error { return d.Markdown(w, func(int) string { return "a.svg" }) },
		`class="bad"`:   d.HTML,
	} {
		var b strings.Builder
		if err := write(&b); err != nil || strings.Count(b.String(), form) != 3 {
			t.Errorf("%v, %q is there %d times in\n%s", err, form, strings.Count(b.String(), form), b.String())
		}
	}
}
