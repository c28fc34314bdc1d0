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
// packets are lost: two runs that differ in one word differ in that alone.
//
// The package imports the standard library only.
package netem
