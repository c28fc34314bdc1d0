// Package tc is a path as real tc netem: its commands, and the attributes by
// which the kernel is told of it and tells of it (net/sched/sch_netem.c,
// include/uapi/linux/pkt_sched.h).
package tc
