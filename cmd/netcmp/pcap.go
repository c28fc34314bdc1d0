package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"netcmp/capture"
)

const allPoints = "all"

// pcapFlags are those that keep the lab's packets, of every command that has a lab.
func pcapFlags(category string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "pcap", Usage: "write the lab's packets to `FILE` (pcapng: Wireshark, tshark)", Category: category},
		&cli.StringFlag{Name: "pcap-at", Value: capture.Points()[0].Name, Usage: "with --pcap: the `DEVICE` whose packets are written: " + pointNames() + " (a file each: FILE-client.pcapng …)", Category: category},
	}
}

func pointNames() string {
	var names []string
	for _, p := range capture.Points() {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ") + " or " + allPoints
}

// pcapNames returns the names of the files that --pcap and --pcap-at ask for, by device;
// nil without --pcap.
func pcapNames(c *cli.Context) (map[string]string, error) {
	with, at := given(c, "pcap"), given(c, "pcap-at")
	name, point := with.String("pcap"), at.String("pcap-at")
	switch {
	case !with.IsSet("pcap") && at.IsSet("pcap-at"):
		return nil, usagef("--pcap-at chooses the device of --pcap, which is not given: add --pcap FILE")
	case !with.IsSet("pcap"):
		return nil, nil
	case name == "":
		return nil, usagef("--pcap is the name of a file, and it is empty")
	}
	names := map[string]string{}
	for _, p := range capture.Points() {
		switch point {
		case p.Name:
			names[p.Device] = name
		case allPoints:
			extension := filepath.Ext(name)
			names[p.Device] = strings.TrimSuffix(name, extension) + "-" + p.Name + extension
		}
	}
	if len(names) == 0 {
		return nil, usagef("--pcap-at %q is unknown; known: %s", point, pointNames())
	}
	return names, nil
}

// pcapFiles are the files of --pcap while they are written.
type pcapFiles struct {
	files capture.Files // empty where none was asked for
	open  []*os.File
}

// openPcap creates the files of --pcap before anything is measured: a file that cannot be
// written is reported at once.
func openPcap(c *cli.Context) (p pcapFiles, err error) {
	names, err := pcapNames(c)
	if err != nil {
		return p, err
	}
	p.files = capture.Files{}
	for device, name := range names {
		f, err := os.Create(name)
		if err != nil {
			return pcapFiles{}, errors.Join(err, p.close())
		}
		p.files[device] = f
		p.open = append(p.open, f)
	}
	return p, nil
}

func (p pcapFiles) close() error {
	var err error
	for _, f := range p.open {
		err = errors.Join(err, f.Close())
	}
	return err
}

// promised stands for the files of --pcap until they are open, which they are when
// everything else is right.
func promised(names map[string]string) capture.Files {
	files := capture.Files{}
	for device := range names {
		files[device] = io.Discard
	}
	return files
}
