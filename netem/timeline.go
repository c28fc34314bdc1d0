package netem

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Change is the conditions of a path from an instant on.
type Change struct {
	At   time.Duration // from the first packet that crosses the path, in either direction
	Path Path
}

const (
	// MaxChanges bounds a timeline.
	MaxChanges = 100_000
	// MaxInstant is the latest instant of a change.
	MaxInstant = 100 * 24 * time.Hour
)

// Timeline reads changes of a path that begins as p, one a line:
//
//	TIME [up|down] ARGUMENTS
//
// with tc netem's arguments. A change sets anew what its arguments name, in both
// directions or in one, and leaves the rest as it was before: after
// "5s loss 100%" the delay is what it was. "none", or "clean", ends all impairments. Empty
// lines, and what follows a #, are left out. Times do not go back.
func (p Path) Timeline(lines []string) ([]Change, error) {
	var all []Change
	for n, line := range lines {
		line, _, _ = strings.Cut(line, "#")
		if strings.TrimSpace(line) == "" {
			continue
		}
		c, err := p.change(line)
		if err != nil {
			return nil, fmt.Errorf("change %d, %q: %w", n+1, strings.TrimSpace(line), err)
		}
		if len(all) > 0 && c.At < all[len(all)-1].At {
			return nil, fmt.Errorf("change %d, %q: its time is before that of the change above it", n+1, strings.TrimSpace(line))
		}
		if len(all) == MaxChanges {
			return nil, fmt.Errorf("more than %d changes", MaxChanges)
		}
		all, p = append(all, c), c.Path
	}
	return all, nil
}

// change reads one change of p.
func (p Path) change(line string) (c Change, err error) {
	words := strings.Fields(line)
	if c.At, err = ParseDuration(words[0]); err != nil {
		return c, err
	}
	if err := checkTime("its time", c.At, MaxInstant, "100 days"); err != nil {
		return c, err
	}
	words = words[1:]
	both := []*Impairment{&p.Up, &p.Down}
	if len(words) > 0 && (words[0] == "up" || words[0] == "down") {
		i := slices.Index([]string{"up", "down"}, words[0])
		both, words = both[i:i+1], words[1:]
	}
	if len(words) == 0 {
		return c, errors.New("it says no arguments: want TIME [up|down] ARGUMENTS, as 5s loss 100%")
	}
	for _, i := range both {
		if len(words) == 1 && (words[0] == "none" || words[0] == "clean") {
			*i = Impairment{}
			continue
		}
		if *i, err = i.With(strings.Join(words, " ")); err != nil {
			return c, err
		}
	}
	c.Path = p
	return c, nil
}
