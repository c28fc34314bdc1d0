// Package ledger is the account of every number: which messages were
// delivered, in what order, how late, and where the stream stood still.
//
// A ledger is told of each message as it arrives and, at the end or in
// mid-run, of what the sender sent; the difference is what was lost. It never
// keeps the messages. What a figure needs of the past is kept in the least
// that answers it:
//
//   - which numbers came: a set in pages, one bit a number, so that a
//     duplicate is found whatever its distance, and the losses are its holes;
//   - reordering (RFC 4737): only the arrivals that raised the highest number
//     can be the message that overtook another, and their numbers ascend, so a
//     ring of them is searched by halving;
//   - n-reordering: the nearest earlier arrival with a smaller number, found
//     on a stack that ascends;
//   - reorder density (RFC 5236): the arrivals that await their receive index;
//   - delays: histograms in HDR layout, with extremes and moments exact beside them;
//   - variation between neighbours (RFC 3393): the last delays by number.
//
// Apart from that set, 12.5 MB for a hundred million numbers, and a row an
// interval, all of it has a fixed size, and an arrival allocates nothing.
//
// Windows bound what is exact, and each says so where it is defined:
// orderWindow, degreeMax, densityThreshold, neighbourWindow, maxIntervals.
// They lie far beyond what a path does that still works.
package ledger
