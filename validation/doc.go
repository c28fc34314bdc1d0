// Package validation holds the instrument against what is known of the protocols
// from elsewhere: laws that were published and results that others had. It is
// tests alone. The short ones run with all others; make validate runs all of
// them and writes docs/validation.md.
package validation
