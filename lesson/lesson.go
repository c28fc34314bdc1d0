// Package lesson teaches what TCP and UDP do by having them do it: each lesson is
// played for real between the two hosts of a lab, its packets are looked at, and
// what it says stands on figures that were measured then. What a lesson claims it
// checks; a claim that does not hold is an error and not a sentence.
package lesson

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"netcmp/capture"
	"netcmp/netem"
)

// ErrUnknown is given for the name of a lesson that does not exist.
var ErrUnknown = errors.New("there is no such lesson")

// Lesson is one of the lessons.
type Lesson struct {
	Name  string // as it is asked for
	Title string
	play  func(ctx context.Context, d *Document) error
}

// Lessons are all of them, in the order in which they are best taken.
func Lessons() []Lesson {
	return []Lesson{
		{"handshake", "A call begins with a handshake, a letter with itself", handshake},
		{"empty-send", "Nothing said is nothing; a letter of nothing is a letter", emptySend},
		{"close", "A call is ended twice, once by each side", closing},
		{"time-wait", "Who hangs up first keeps the line engaged for a minute", timeWait},
		{"connections", "One long call, or a short one for each sentence", connections},
		{"letter-and-call", "One message is lost: in a call all wait for it, of letters one is missing", letterAndCall},
		{"acks", "Every word of a call is confirmed, no letter is", acknowledged},
		{"ttl", "Every packet has a number of routers to live", timeToLive},
		{"http", "What a browser says to a server that only knows sockets", overHTTP},
		{"claims", "What is said of TCP and UDP, tried", claimsChecked},
	}
}

// In is the lesson's title in a language.
func (l Lesson) In(language Language) string { return language.words(l.Title) }

// Find gives a lesson by its name.
func Find(name string) (Lesson, error) {
	var known []string
	for _, l := range Lessons() {
		if l.Name == name {
			return l, nil
		}
		known = append(known, l.Name)
	}
	return Lesson{}, fmt.Errorf("%w: %q; known: %s", ErrUnknown, name, strings.Join(known, ", "))
}

// Options say how a lesson is played.
type Options struct {
	// Pcap are files that get the packets of their devices, a section for each scene.
	Pcap capture.Files
	// Quick has a lesson not wait for what takes a minute: it states what the rest
	// would be, by the kernel's own word.
	Quick bool
	// Language of the titles and sentences; "" is English.
	Language Language
	// Waiting is told now and then how far a lesson is that has to wait; nil is not.
	Waiting func(what string, elapsed, total time.Duration)
}

// Run plays the lesson in a lab of its own, or, where it needs several, in one
// after the other.
func (l Lesson) Run(ctx context.Context, o Options) (*Document, error) {
	d := &Document{Schema: Schema, Name: l.Name, Title: o.Language.words(l.Title), Language: o.Language, Quick: o.Quick, options: o}
	if err := l.play(ctx, d); err != nil {
		return nil, fmt.Errorf("lesson %s: %w", l.Name, err)
	}
	return d, nil
}

// each is a path that is the same in both directions, in netem's words.
func each(words string) netem.Path { return path(words, words) }

// path is a path in netem's words. They are the lessons' own: wrong ones are a
// mistake of this package.
func path(up, down string) netem.Path {
	var p netem.Path
	var err error
	if p.Up, err = netem.Parse(up); err == nil {
		p.Down, err = netem.Parse(down)
	}
	if err != nil {
		panic("lesson: " + err.Error())
	}
	return p
}
