package wg

import (
	"bytes"
	"os"
	"testing"
)

// A key that was not written is no success.
func TestFullDiskIsAnError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	var stderr bytes.Buffer
	if code := Main([]string{"wg", "genkey"}, nil, full, &stderr); code != 1 || stderr.String() != "write: No space left on device\n" {
		t.Errorf("exit code %d, %q", code, stderr.String())
	}
}
