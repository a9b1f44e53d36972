package tunnel

import "github.com/warrenvpn/warren/internal/quick"

func load(arg string) (*quick.Config, error) {
	path, name, err := find(arg)
	if err != nil {
		return nil, err
	}
	return &quick.Config{Name: name, Path: path}, nil
}
