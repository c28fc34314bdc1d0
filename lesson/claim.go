package lesson

import (
	"fmt"
	"slices"
	"strings"
)

// The verdicts on a claim.
const (
	Holds       = "holds"
	HoldsWhen   = "holds when"
	DoesNotHold = "does not hold here"
)

// Claim is a sentence that is taught, and what came of it when it was tried.
type Claim struct {
	Claim    string    `json:"claim"`
	Means    string    `json:"means"` // what would have to be measured
	Verdict  string    `json:"verdict"`
	When     string    `json:"when,omitempty"` // with HoldsWhen
	Findings []Finding `json:"findings"`

	language Language
}

// Finding is a condition under which a claim was tried.
type Finding struct {
	When     string `json:"when"`
	Measured string `json:"measured"`
	Holds    bool   `json:"holds"`
	Scene    string `json:"scene"` // in which it was measured, its title

	language Language
}

// claim begins to try a claim.
func (d *Document) claim(sentence, means string) *Claim {
	l := d.options.Language
	c := &Claim{Claim: l.words(sentence), Means: l.words(means), language: l}
	d.Claims = append(d.Claims, c)
	return c
}

// found adds what was measured in a scene, and judges anew.
func (c *Claim) found(in *Scene, holds bool, when, measured string, args ...any) {
	c.Findings = append(c.Findings, Finding{
		When: c.language.words(when), Measured: fmt.Sprintf(c.language.words(measured), args...), Holds: holds, Scene: in.Title, language: c.language,
	})
	c.judge()
}

// forget takes back what was found in a scene, which is played again.
func (c *Claim) forget(scene string) {
	c.Findings = slices.DeleteFunc(c.Findings, func(f Finding) bool { return f.Scene == scene })
	c.judge()
}

// judge draws the verdict from the findings alone.
func (c *Claim) judge() {
	var when []string
	for _, f := range c.Findings {
		if f.Holds {
			when = append(when, f.When)
		}
	}
	c.When = ""
	switch len(when) {
	case 0:
		c.Verdict = DoesNotHold
	case len(c.Findings):
		c.Verdict = Holds
	default:
		c.Verdict, c.When = HoldsWhen, strings.Join(when, c.language.words(", or "))
	}
}

// String is the verdict with its condition.
func (c *Claim) String() string {
	return strings.TrimSpace(c.language.words(c.Verdict) + " " + c.When)
}

// answer says whether the claim held.
func (f Finding) answer() string {
	if f.Holds {
		return f.language.words("holds")
	}
	return f.language.words("does not hold")
}

func (f Finding) String() string {
	return fmt.Sprintf(f.language.words("when %s: %s, %s"), f.When, f.Measured, f.answer())
}
