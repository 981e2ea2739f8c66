package config

// named lists which sources of keys are set.
func (s Secrets) named() []string {
	var out []string
	for _, source := range []struct {
		key string
		set bool
	}{{"secrets.keys", s.Keys != ""}, {"secrets.key_file", s.KeyFile != ""}, {"secrets.key_command", len(s.KeyCommand) > 0}} {
		if source.set {
			out = append(out, source.key)
		}
	}
	return out
}

func (s Secrets) validate(bad func(key, remedy, format string, args ...any)) {
	if named := s.named(); len(named) > 1 {
		bad(named[1], "Keep one of them, with all keys in it.", "stands beside %s", named[0])
	}
	if len(s.KeyCommand) > 0 && s.KeyCommand[0] == "" {
		bad("secrets.key_command", "Write the program first, then its arguments, for example [/usr/local/bin/read-keys, herald].", "names no program")
	}
}

// Key is the key of the configuration that says where the keys come from, or ""
// if none does.
func (s Secrets) Key() string {
	for _, key := range s.named() {
		return key
	}
	return ""
}
