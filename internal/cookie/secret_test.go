package cookie

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/internal/wire"
)

// A32: neither cookies nor what they are made from are shown, in any way that Go
// programs print or encode things.
func TestSecretsAreNeverShown(t *testing.T) {
	n := newScene(1)
	n.teach(t, start, home)
	n.message(start, wire.TypeInitiation)
	cookie := n.g.cookie[:]
	for _, v := range []any{n.c, *n.c, n.g, *n.g} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d", "%o", "%b"} {
			if got := fmt.Sprintf(verb, v); got != redacted {
				t.Errorf("%T as %s shows %q", v, verb, got)
			}
		}
		for form, text := range encoded(v) {
			decimal := strings.Trim(fmt.Sprint(cookie[:8]), "[]")
			for _, s := range []string{string(cookie[:8]), hex.EncodeToString(cookie[:8]), decimal, strings.ReplaceAll(decimal, " ", ",")} {
				if strings.Contains(text, s) {
					t.Errorf("%T as %s shows the cookie: %q", v, form, text)
				}
			}
		}
	}
}

func encoded(v any) map[string]string {
	out := map[string]string{}
	j, err := json.Marshal([]any{v})
	out["json"] = fmt.Sprint(string(j), err)
	x, err := xml.Marshal(v)
	out["xml"] = fmt.Sprint(string(x), err)
	var g bytes.Buffer
	err = gob.NewEncoder(&g).Encode(v)
	out["gob"] = fmt.Sprint(g.String(), err)
	var l bytes.Buffer
	slog.New(slog.NewTextHandler(&l, nil)).Info("m", "k", v)
	slog.New(slog.NewJSONHandler(&l, nil)).Info("m", "k", v)
	out["slog"] = l.String()
	return out
}
