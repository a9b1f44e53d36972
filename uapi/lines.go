package uapi

import (
	"bufio"
	"errors"
	"io"
)

// bufferSize is the longest line, with its line feed, in bytes.
const bufferSize = 64 << 10

// smallBuffer is enough for the reply of a set.
const smallBuffer = 512

var errLineTooLong = errors.New("line is too long")

// lineReader reads lines without allocating.
type lineReader struct {
	r *bufio.Reader
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, bufferSize)}
}

// next returns the next line without its line feed and a carriage return before
// it; it is valid until the next call. At the end of the stream, also in the
// middle of a line, it returns io.EOF. After errLineTooLong the next call
// returns the line after that one.
func (l *lineReader) next() ([]byte, error) {
	line, err := l.nextExact()
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, err
}

// nextExact is next, but keeps a carriage return.
func (l *lineReader) nextExact() ([]byte, error) {
	line, err := l.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = l.r.ReadSlice('\n')
		}
		if err == nil {
			err = errLineTooLong
		}
	}
	if err != nil {
		return nil, err
	}
	return line[:len(line)-1], nil
}

// drain reads up to the empty line that ends a request and returns how many
// lines came before it.
func (l *lineReader) drain() (lines int, err error) {
	for {
		line, err := l.next()
		if err != nil && !errors.Is(err, errLineTooLong) {
			return lines, err
		}
		if err == nil && len(line) == 0 {
			return lines, nil
		}
		lines++
	}
}

// clear overwrites what is left of the stream in memory: it may hold keys.
func (l *lineReader) clear() {
	// A peek at everything buffered, extended to the whole array behind it.
	if b, _ := l.r.Peek(l.r.Buffered()); b != nil {
		clear(b[:cap(b)])
	}
}
