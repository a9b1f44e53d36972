//go:build linux && e2e

package diff

// A deviation is a line that one of two has and the other has not.
type deviation struct {
	extra bool   // the compared has it, the model has not
	under string // the last line before it that begins a part
	line  string
}

func (d deviation) String() string {
	if d.extra {
		return "+ " + d.line
	}
	return "- " + d.line
}

// deviations compares two texts as sequences, so that an order that differs is
// told too: a longest common subsequence stays.
func deviations(model, compared []string) (all []deviation) {
	start := 0
	for start < len(model) && start < len(compared) && model[start] == compared[start] {
		start++
	}
	a, b := model[start:], compared[start:]
	length := make([][]int, len(a)+1)
	for i := range length {
		length[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	part := ""
	for _, l := range model[:start] {
		part = partOf(l, part)
	}
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			part = partOf(a[i], part)
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || length[i+1][j] >= length[i][j+1]):
			all = append(all, deviation{false, part, a[i]})
			i++
		default:
			all = append(all, deviation{true, part, b[j]})
			j++
		}
	}
	return all
}

func partOf(line, before string) string {
	if len(line) > 1 && (line[:2] == "$ " || line[:2] == "##") {
		return line
	}
	return before
}
