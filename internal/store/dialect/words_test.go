package dialect

import "testing"

func TestWords(t *testing.T) {
	numbered := Words{Texts: "texts(?) j", Numbers: "numbers(?) n", Numbered: true}
	duplicate := Words{Texts: "T(?) j", Numbers: "N(?) n", Duplicate: true}
	for _, tt := range []struct {
		name, q             string
		numbered, duplicate string
	}{
		{"nothing", "SELECT 1 FROM a", "SELECT 1 FROM a", "SELECT 1 FROM a"},
		{"parameters", "UPDATE a SET x = ?, y = ? WHERE z = ?", "UPDATE a SET x = $1, y = $2 WHERE z = $3", "UPDATE a SET x = ?, y = ? WHERE z = ?"},
		{"upsert", "INSERT INTO a (k, v) VALUES (?, ?)\n\t\tON CONFLICT (k) DO UPDATE SET v = excluded.v, w = excluded.w",
			"INSERT INTO a (k, v) VALUES ($1, $2)\n\t\tON CONFLICT (k) DO UPDATE SET v = excluded.v, w = excluded.w",
			"INSERT INTO a (k, v) VALUES (?, ?)\n\t\tON DUPLICATE KEY UPDATE v = VALUES(v), w = VALUES(w)"},
		{"texts", "SELECT j.key FROM json_each(?) j CROSS JOIN a ON a.x = ? AND a.y = j.value",
			"SELECT j.key FROM texts($1) j JOIN a ON a.x = $2 AND a.y = j.value", "SELECT j.key FROM T(?) j JOIN a ON a.x = ? AND a.y = j.value"},
		{"numbers", "SELECT n.value FROM json_each(?) n", "SELECT n.value FROM numbers($1) n", "SELECT n.value FROM N(?) n"},
		{"hints", "SELECT x FROM a INDEXED BY a_x WHERE y = ? LIMIT ? + 0", "SELECT x FROM a WHERE y = $1 LIMIT $2", "SELECT x FROM a WHERE y = ? LIMIT ?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := numbered.SQL(tt.q); got != tt.numbered {
				t.Errorf("numbered: %s", got)
			}
			if got := duplicate.SQL(tt.q); got != tt.duplicate {
				t.Errorf("duplicate: %s", got)
			}
		})
	}
}
