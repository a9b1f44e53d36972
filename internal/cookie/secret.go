package cookie

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "(redacted)"

// secret, embedded, keeps a struct from being compared with == and from being
// shown by fmt, log/slog, encoding/json, encoding/xml or encoding/gob.
type secret struct {
	_ [0]func()
}

// String hides the value.
func (secret) String() string { return redacted }

// GoString hides the value.
func (secret) GoString() string { return redacted }

// Format hides the value from every verb.
func (secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue hides the value.
func (secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the value.
func (secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalBinary hides the value.
func (secret) MarshalBinary() ([]byte, error) { return []byte(redacted), nil }
