//go:build !linux

package report

// lock does nothing here: one process at a time may append to a file.
func lock(uintptr) (unlock func()) { return func() {} }
