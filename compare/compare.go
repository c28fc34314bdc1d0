// Package compare runs the same messages over several protocols and says what
// can be told apart.
//
// Trials come in blocks. In each block every protocol has one trial, in random
// order, and all of them have one seed, so that what changes with time on the
// machine, and what the path's draws happen to be, befalls all alike. What is
// said of the trials (Judge) is computed from their documents alone.
package compare

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"netcmp/experiment"
	"netcmp/peer"
	"netcmp/records"
	"netcmp/result"
)

// DefaultRepeat is the least number of blocks that gives a median a 95 %
// interval: the extremes of six hold it with 96.9 %.
const DefaultRepeat = 6

// repeatMax bounds the number of blocks.
const repeatMax = 1000

// againMax bounds how often a trial is repeated that this machine disturbs. Over the
// whole comparison at most as many trials are repeated as there are trials.
const againMax = 3

// Arm is one of those that are compared.
type Arm struct {
	Label  string // what tables call it; unique
	Config experiment.Config
}

// Config is a comparison to be made.
type Config struct {
	Arms   []Arm
	Repeat int // blocks
	Seed   uint64
	// Done are trials of an earlier run of the same comparison. Those that fit
	// are not made again.
	Done []*result.Document
	// Command makes the whole again; CommandOf one trial.
	Command   string
	CommandOf func(arm Arm, seed uint64) string
	Tool      result.Tool
	// Kept is given each trial when it is done; its error ends the comparison.
	Kept func(*result.Document) error
	// Spool makes the files for the messages of a trial, and Records is given them with its
	// document, when it is done; of a trial of an earlier run there are none, nil. nil: no
	// records are kept.
	Spool   func() (*records.Spool, error)
	Records func(*result.Document, *records.Spool) error
	// run makes a trial; nil is experiment.Run.
	run func(context.Context, experiment.Config) (*result.Document, error)
	// Progress may be nil.
	Progress func(arm string, trial, trials int, p peer.Progress)
}

// Arms names protocols: one that comes twice is called by its number, too, as
// for a comparison of a thing with itself. A congestion control is asked of those
// alone that do not bring their own along, and to resume of those that can.
func Arms(base experiment.Config, protos []string) []Arm {
	times := map[string]int{}
	for _, p := range protos {
		times[p]++
	}
	count := map[string]int{}
	var arms []Arm
	for _, p := range protos {
		label := p
		if count[p]++; times[p] > 1 {
			label += "#" + strconv.Itoa(count[p])
		}
		c := base
		c.Spec.Proto = p
		for _, t := range experiment.Transports() {
			if t.Name() != p {
				continue
			}
			if t.Properties().Congestion != "" {
				c.Spec.Congestion = ""
			}
			c.Spec.Resume = c.Spec.Resume && t.Properties().Resumes
		}
		arms = append(arms, Arm{Label: label, Config: c})
	}
	return arms
}

// Dissect has the delay of messages split in its parts (experiment.Config.Anatomy) of
// the arms whose packets show them: if that was asked for, else where it disturbs
// nothing. Who was held back is then known of these, and estimated of the others; so
// that like is compared with like, it is estimated of all, unless it is known of all
// that can hold anything back. An error says why no arm shows it that was to.
func Dissect(arms []Arm, asked bool) error {
	some, all, why := false, true, ""
	for i := range arms {
		c := &arms[i].Config
		reason := c.NoAnatomy()
		c.Anatomy = asked && reason == "" || c.AnatomyFits()
		some = some || c.Anatomy
		if why == "" {
			why = reason
		}
		for _, t := range experiment.Transports() {
			if t.Name() == c.Spec.Proto && t.Properties().Ordered && !c.Anatomy {
				all = false
			}
		}
	}
	for i := range arms {
		arms[i].Config.EstimateHeld = !all
	}
	if asked && !some {
		return fmt.Errorf("--anatomy: %s", why)
	}
	return nil
}

// Validate says what is wrong with a comparison, before anything starts.
func (c Config) Validate() error {
	if len(c.Arms) < 2 {
		return fmt.Errorf("to compare takes two protocols at the least (--protos tcp,udp)")
	}
	if c.Repeat < 1 || c.Repeat > repeatMax {
		return fmt.Errorf("repeat %d is out of range: 1 to %d", c.Repeat, repeatMax)
	}
	for _, a := range c.Arms {
		if err := a.Config.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// SeedOf is the seed of a block, which all its trials have.
func SeedOf(seed uint64, block int) uint64 {
	return uint64(rand.New(rand.NewPCG(seed, uint64(block))).Uint32())
}

// Run makes the comparison. When ctx ends, it ends early with the trials that
// were done until then, and no error. An error may come with a comparison: of
// what was done before it.
func Run(ctx context.Context, c Config) (*result.Comparison, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("%w (%w)", err, experiment.ErrUsage)
	}
	plan := c.plan()
	var trials []*result.Document
	var failed error
	repeated := 0
	order := rand.New(rand.NewPCG(c.Seed, 0x6f72646572)) // "order"
blocks:
	for block := range c.Repeat {
		for _, i := range order.Perm(len(c.Arms)) {
			if ctx.Err() != nil {
				break blocks
			}
			d, again, err := c.undisturbed(ctx, block, c.Arms[i], len(trials), c.Repeat*len(c.Arms)-repeated)
			repeated += again
			if d != nil && !d.Interrupted {
				trials = append(trials, d)
			}
			if err != nil {
				failed = fmt.Errorf("%s, block %d: %w", c.Arms[i].Label, block+1, err)
				break blocks
			}
		}
	}
	if len(trials) == 0 {
		return nil, failed
	}
	x := Judge(plan, trials)
	x.Tool, x.Repeated = c.Tool, repeated
	x.Interrupted = ctx.Err() != nil || failed != nil
	return x, failed
}

func (c Config) plan() result.ComparisonPlan {
	plan := result.ComparisonPlan{Repeat: c.Repeat, Seed: result.Uint64(c.Seed), Command: c.Command}
	for _, a := range c.Arms {
		plan.Arms = append(plan.Arms, a.Label)
	}
	return plan
}

func (c Config) commandOf(a Arm, seed uint64) string {
	if c.CommandOf == nil {
		return a.Config.Command
	}
	return c.CommandOf(a, seed)
}

// undisturbed makes one trial, and makes it again while this machine disturbs it, most
// times at most. It returns the last one and how many were repeated.
func (c Config) undisturbed(ctx context.Context, block int, a Arm, n, most int) (d *result.Document, again int, err error) {
	var spool *records.Spool
	for most = min(most, againMax); ; again++ {
		if spool != nil {
			spool.Close()
			spool = nil
		}
		if c.Spool != nil {
			if spool, err = c.Spool(); err != nil {
				return nil, again, err
			}
		}
		d, err = c.trial(ctx, block, a, n, spool)
		if err != nil || d == nil || d.Interrupted || !d.IsDisturbed() || again >= most || ctx.Err() != nil {
			break
		}
	}
	if c.Records != nil && d != nil && !d.Interrupted {
		kept := spool
		if slices.Contains(c.Done, d) {
			kept = nil
		}
		err = errors.Join(err, c.Records(d, kept))
	}
	if d != nil && c.Records != nil && (block > 0 || !a.Config.Spec.Messages) { // one trial of each is enough to be seen
		for _, m := range []*result.Measured{&d.Measured, d.Reverse} {
			if m != nil {
				m.Messages = nil
			}
		}
	}
	if err == nil && d != nil && !d.Interrupted && c.Kept != nil && !slices.Contains(c.Done, d) {
		err = c.Kept(d)
	}
	if spool != nil {
		spool.Close()
	}
	return d, again, err
}

// trial makes one trial, unless it was made before.
func (c Config) trial(ctx context.Context, block int, a Arm, n int, spool *records.Spool) (*result.Document, error) {
	x := a.Config
	x.Spool = spool
	x.Seed = SeedOf(c.Seed, block)
	x.SeedGiven = true
	x.Spec.Plan.Seed = x.Seed
	x.Spec.Messages = x.Spec.Messages && block == 0 // one trial of each is enough to be seen
	x.Tool = c.Tool
	x.Command = c.commandOf(a, x.Seed)
	if c.Progress != nil {
		x.Progress = func(p peer.Progress) { c.Progress(a.Label, n, c.Repeat*len(c.Arms), p) }
	}
	mark := result.Trial{Arm: a.Label, Block: block, Comparison: new(c.plan())}
	if i := slices.IndexFunc(c.Done, func(d *result.Document) bool { return isTrial(d, mark, x) }); i >= 0 {
		return c.Done[i], nil
	}
	run := c.run
	if run == nil {
		run = experiment.Run
	}
	d, err := run(ctx, x)
	if d == nil {
		return nil, err
	}
	d.Trial = &mark
	return d, err
}

// isTrial says whether a document is that trial of the same comparison: its seed
// follows from the comparison's, and its command has everything that was asked.
func isTrial(d *result.Document, mark result.Trial, x experiment.Config) bool {
	return d.Trial != nil && !d.IsDisturbed() && d.Trial.Arm == mark.Arm && d.Trial.Block == mark.Block && !d.Interrupted &&
		d.Proto == x.Spec.Proto && uint64(d.Seed) == x.Seed && d.Plan.Command == x.Command
}
