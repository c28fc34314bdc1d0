package netem

// The chance in a path comes from counters. A draw is a hash of
//
//	(seed of the direction, purpose of the draw, packet number, copy)
//
// and of nothing else. No draw consumes another's number, so
//
//   - the same seed gives the same fate to the same packet of a direction,
//     on every machine and in every run;
//   - turning one impairment on leaves the draws of the others where they were;
//   - a packet's fate can be computed without computing those before it.
//
// "The same packet" is the one with the same number in its direction. An
// acknowledgement or a retransmission has a number like any other packet, so a
// seed fixes the fates and not which message meets them.

// A purpose names what a draw decides. The numbers are part of what a seed
// means: a saved seed reproduces its run only as long as they stay.
type purpose uint64

const (
	drawDuplicate purpose = 1
	drawLoss      purpose = 2
	drawCorrupt   purpose = 3
	drawDamage    purpose = 4 // which bit of a corrupted copy is flipped
	drawReorder   purpose = 5
	drawJitter    purpose = 6
	drawChain     purpose = 7 // the next state of a loss model that has states and separate losses
	drawSlot      purpose = 8 // how far away the next slot is; counted by slots
)

// golden is 2⁶⁴ divided by the golden ratio, made odd: the step of SplitMix64.
const golden = 0x9e3779b97f4a7c15

// mix is a bijection of the 64-bit integers in which each bit of the input
// moves each bit of the output about half the time: the output function of
// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number
// Generators", OOPSLA 2014; the constants are David Stafford's variant 13 of
// the MurmurHash3 finalizer).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// derive makes a seed for one use from a seed for many.
func derive(seed, use uint64) uint64 {
	return mix(mix(seed+golden) + use*golden)
}

// DirectionSeed returns the seed of one direction of a path, from the seed of
// the whole experiment. Up is from client to server.
func DirectionSeed(seed uint64, up bool) uint64 {
	if up {
		return derive(seed, 'u')
	}
	return derive(seed, 'd')
}

// A stream is the endless row of draws for one purpose in one direction. It is
// SplitMix64 read at any place: place n is mix(key + n·golden).
type stream uint64

func newStream(seed uint64, p purpose) stream { return stream(derive(seed, uint64(p))) }

// bits returns the 64 bits at place n.
func (s stream) bits(n uint64) uint64 { return mix(uint64(s) + n*golden) }

// uint32 returns the draw at place n as netem draws: 32 bits, uniform.
func (s stream) uint32(n uint64) uint32 { return uint32(s.bits(n) >> 32) }
