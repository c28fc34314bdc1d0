// Package netem says what a path does to packets.
//
// A path has two directions, and an [Impairment] is what happens in one of
// them: how late packets are, which are lost, doubled, damaged or overtaken,
// and how fast the link drains. The words for it are those of Linux: [Parse]
// reads what one would write after "tc qdisc add dev eth0 root netem", and
// [Impairment.String] writes it back.
//
//	i, err := netem.Parse("delay 20ms 5ms distribution normal loss 1%")
//
// Not all that netem takes does what its words say: correlated losses vanish,
// correlated delays do not correlate, the limit eats into the delay line. It is
// the same here, and [Impairment.Warnings] tells. What the grammar has beyond
// netem, such as jitter without reordering, a list of packets to lose, a queue
// that drops to stay short or a trace of a mobile link,
// [Impairment.Extensions] names. [Profiles] are paths with a name.
//
// A [Direction] turns an impairment and a seed into a verdict on each packet:
// how many copies enter the queue, when each is due to leave it, which one is
// damaged. It is the decision alone. It holds no packets, reads no clock and
// starts no timer, so that the emulator that moves real packets and a test that
// counts a million imagined ones share the same law. The order of the
// decisions and their integer arithmetic are those of netem_enqueue in the
// kernel's net/sched/sch_netem.c, since the same impairment may also be given
// to the kernel itself and the two must agree.
//
// Where Linux decides by one generator that every draw advances, a Direction
// computes each draw from the seed, the kind of impairment and the number of
// the packet. Adding jitter to an experiment therefore does not change which
// packets are lost: two runs that differ in one word differ in that alone. Where
// an impairment remembers, as the chain of a loss model or a correlated draw
// does, it remembers what the packets met and not what their clones did, and
// for every packet, whatever became of it.
//
// The number of a packet depends on what else is sent. With [FateByTime] the
// losses are a function of time instead, so that protocols that send different
// packets meet the same weather. [Direction.Change] changes the impairment on
// the way.
//
// The package imports the standard library only.
package netem
