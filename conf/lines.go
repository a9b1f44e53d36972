package conf

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// maxLine is the longest line, in bytes: a list of some 400 000 allowed IPs.
const maxLine = 16 << 20

// block is how much text is read at once, unless a line is longer.
const block = 64 << 10

// lineReader cuts text into lines. They are parts of one string for each block,
// so what is to outlive the block by far is cloned.
type lineReader struct {
	r    io.Reader
	buf  []byte
	rest string // what was read and not returned yet
	err  error  // of the last read
}

// next returns the next line without its line feed, or io.EOF.
func (l *lineReader) next() (string, error) {
	from := 0 // where no line feed was found in rest before
	for {
		if i := strings.IndexByte(l.rest[from:], '\n'); i >= 0 {
			line := l.rest[:from+i]
			l.rest = l.rest[from+i+1:]
			return line, nil
		}
		from = len(l.rest)
		switch {
		case l.err == nil && from >= maxLine:
			return "", bufio.ErrTooLong
		case l.err == nil:
			l.fill()
		case errors.Is(l.err, io.EOF) && from > 0:
			line := l.rest
			l.rest = ""
			return line, nil
		default:
			return "", l.err
		}
	}
}

// fill reads more behind rest: twice as much as there is, for a long line is to
// be copied a few times only.
func (l *lineReader) fill() {
	n := len(l.rest)
	if size := max(block, 3*n); len(l.buf) < size {
		l.buf = make([]byte, size)
	}
	copy(l.buf, l.rest)
	var got int
	got, l.err = io.ReadAtLeast(l.r, l.buf[n:], 1)
	l.rest = string(l.buf[:n+got])
}
