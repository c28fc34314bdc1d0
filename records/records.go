// Package records keeps what became of each message of a run, however many there are,
// in files and not in memory.
//
// Each end writes a record a message in the order in which it handles them: the sender
// when it handed each to the transport, the receiver when it read each first copy. Its
// owner then reads them in the order of their numbers.
package records

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// Times are ns from the beginning of the run, on the sender's clock.

// Unknown stands for a time that is not known.
const Unknown = -1 << 63

// Row is what became of one message.
type Row struct {
	Number   int64
	Sent     int64 // handed to the transport; Unknown: it was not
	Received int64 // received by the kernel; Unknown: it did not arrive, or the transport does not tell
	Read     int64 // read by the receiver's process; Unknown: it did not arrive
	Sequence int64 // 1 for the message that was read first, and so on; 0: it did not arrive
}

// Files are those of one end: what it sent and what it received.
type Files struct{ Sent, Received *os.File }

// Spool is the files of both ends. They have no name, and go with the last process that
// holds them.
type Spool struct{ Client, Server Files }

// New makes the files of a run, in the folder for temporary ones.
func New() (*Spool, error) {
	s := &Spool{}
	for _, f := range s.files() {
		made, err := temporary()
		if err != nil {
			s.Close()
			return nil, err
		}
		*f = made
	}
	return s, nil
}

// temporary makes a file without a name.
func temporary() (*os.File, error) {
	f, err := os.CreateTemp("", "netcmp-records-*")
	if err != nil {
		return nil, fmt.Errorf("records: %w (TMPDIR names another folder)", err)
	}
	return f, os.Remove(f.Name())
}

func (s *Spool) files() []**os.File {
	return []**os.File{&s.Client.Sent, &s.Client.Received, &s.Server.Sent, &s.Server.Received}
}

// Close lets go of the files.
func (s *Spool) Close() {
	for _, f := range s.files() {
		if *f != nil {
			_ = (*f).Close()
		}
	}
}

const (
	sentSize     = 8  // when
	receivedSize = 24 // number, read, received
	bufferSize   = 1 << 16
)

// Writer writes one end's records of one kind. It allocates nothing. Its methods may be
// called from any goroutine, and on a nil Writer, which writes nothing.
type Writer struct {
	mu   sync.Mutex
	out  *bufio.Writer
	cell [receivedSize]byte
	err  error
}

// NewWriter writes to f; nil is a nil Writer.
func NewWriter(f *os.File) *Writer {
	if f == nil {
		return nil
	}
	return &Writer{out: bufio.NewWriterSize(f, bufferSize)}
}

// Sent enters the next n messages, which were handed over at one instant.
func (w *Writer) Sent(at int64, n int) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.cell[:sentSize]
	binary.LittleEndian.PutUint64(b, uint64(at))
	for range n {
		w.write(b)
	}
}

// Received enters a first copy; received may be Unknown.
func (w *Writer) Received(number uint64, read, received int64) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.cell[:]
	binary.LittleEndian.PutUint64(b, number)
	binary.LittleEndian.PutUint64(b[8:], uint64(read))
	binary.LittleEndian.PutUint64(b[16:], uint64(received))
	w.write(b)
}

func (w *Writer) write(b []byte) {
	if w.err == nil {
		_, w.err = w.out.Write(b)
	}
}

// Flush writes what is buffered, and returns what has kept the Writer from writing.
func (w *Writer) Flush() error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = w.out.Flush()
	}
	if w.err != nil {
		return fmt.Errorf("records: %w (TMPDIR names another folder)", w.err)
	}
	return nil
}

// Each calls f with the rows of numbers 0 … due − 1 in their order, from what one end
// sent and the other received. It holds a few megabytes, whatever due is. An error of f
// ends it.
func Each(sent, received *os.File, due int64, f func(Row) error) error {
	table, err := tabulate(received, due)
	if err != nil {
		return err
	}
	defer table.file.Close()
	if _, err := sent.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	times := bufio.NewReaderSize(sent, bufferSize)
	var b [sentSize]byte
	for number := range due {
		x, err := table.at(number)
		if err != nil {
			return err
		}
		row := Row{Number: number, Sent: Unknown, Received: Unknown, Read: Unknown, Sequence: x.sequence()}
		if row.Sequence > 0 {
			row.Read, row.Received = x.read(), x.received()
		}
		switch _, err := io.ReadFull(times, b[:]); {
		case err == nil:
			row.Sent = int64(binary.LittleEndian.Uint64(b[:]))
		case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("records: %w", err)
		}
		if err := f(row); err != nil {
			return err
		}
	}
	return nil
}

// tabulate sorts what was received by number: into a file with a cell for each.
func tabulate(received *os.File, due int64) (*table, error) {
	file, err := temporary()
	if err != nil {
		return nil, err
	}
	t := &table{file: file, due: due}
	if _, err = received.Seek(0, io.SeekStart); err == nil {
		err = t.fill(bufio.NewReaderSize(received, bufferSize))
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("records: %w", err)
	}
	return t, nil
}

func (t *table) fill(in *bufio.Reader) error {
	var b [receivedSize]byte
	for sequence := int64(1); ; sequence++ {
		switch _, err := io.ReadFull(in, b[:]); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return err
		}
		number := int64(binary.LittleEndian.Uint64(b[:]))
		if number < 0 || number >= t.due {
			continue
		}
		x, err := t.at(number)
		if err != nil {
			return err
		}
		binary.LittleEndian.PutUint64(x, uint64(sequence))
		copy(x[8:], b[8:])
		t.written[t.place(number)] = true
	}
}

const (
	cellSize    = 24 // sequence, read, received; all 0 where nothing arrived
	blockCells  = 8192
	blocksInUse = 16
)

// cell is a message in a table.
type cell []byte

func (c cell) sequence() int64 { return int64(binary.LittleEndian.Uint64(c)) }
func (c cell) read() int64     { return int64(binary.LittleEndian.Uint64(c[8:])) }
func (c cell) received() int64 { return int64(binary.LittleEndian.Uint64(c[16:])) }

// table is a file of cells, of which some blocks are in memory: messages come nearly in
// the order of their numbers.
type table struct {
	file    *os.File
	due     int64
	blocks  [blocksInUse][]byte
	numbers [blocksInUse]int64 // of the blocks in memory, plus one; 0: none
	written [blocksInUse]bool
}

func (t *table) place(number int64) int64 { return number / blockCells % blocksInUse }

// at returns the cell of a number, valid until the next call.
func (t *table) at(number int64) (cell, error) {
	block, place := number/blockCells, t.place(number)
	if t.numbers[place] != block+1 {
		if err := t.load(block, place); err != nil {
			return nil, err
		}
	}
	from := number % blockCells * cellSize
	return t.blocks[place][from : from+cellSize : from+cellSize], nil
}

// load puts a block in its place, after what was there is written back.
func (t *table) load(block, place int64) error {
	if t.blocks[place] == nil {
		t.blocks[place] = make([]byte, blockCells*cellSize)
	}
	b := t.blocks[place]
	if t.written[place] {
		if _, err := t.file.WriteAt(b, (t.numbers[place]-1)*int64(len(b))); err != nil {
			return err
		}
		t.written[place] = false
	}
	n, err := t.file.ReadAt(b, block*int64(len(b)))
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	clear(b[n:])
	t.numbers[place] = block + 1
	return nil
}
