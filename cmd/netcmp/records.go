package main

import (
	"errors"
	"os"

	"github.com/urfave/cli/v2"

	"netcmp/records"
	"netcmp/report"
	"netcmp/result"
)

// recordsFile is the file of --records. Its methods may be called on nil, where none was
// asked for.
type recordsFile struct {
	file *os.File
	rows *report.Records
}

// openRecords opens the file before anything is measured: one that cannot be written is
// told at once.
func openRecords(c *cli.Context) (*recordsFile, error) {
	name := c.String("records")
	switch {
	case !c.IsSet("records"):
		return nil, nil
	case name == "":
		return nil, usagef("--records is the name of a file, and it is empty")
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	return &recordsFile{f, report.NewRecords(f)}, nil
}

// spool makes the files that the records of a run are kept in until then; nil without.
func (r *recordsFile) spool() (*records.Spool, error) {
	if r == nil {
		return nil, nil
	}
	return records.New()
}

// add writes a run's rows.
func (r *recordsFile) add(d *result.Document, s *records.Spool) error {
	if r == nil {
		return nil
	}
	return r.rows.Add(d, s)
}

func (r *recordsFile) close() error {
	if r == nil {
		return nil
	}
	return errors.Join(r.rows.Close(), r.file.Close())
}
