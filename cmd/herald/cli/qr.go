package cli

import (
	"strings"

	"rsc.io/qr"
)

// quiet is the light border around the code, in modules. The standard (ISO/IEC
// 18004) asks for 4; readers of phones manage with 2, and lines are dear.
const quiet = 2

// qrText draws a code with half blocks, two modules of height per line. With
// color it is dark on light whatever the terminal's colors are; without, it
// draws the light modules, which is right on a dark background.
func qrText(text string, color bool) string {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return "" // too long for any code; the link above says the same
	}
	var b strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		b.WriteString("  ")
		if color {
			b.WriteString("\x1b[97;40m")
		}
		for x := -quiet; x < code.Size+quiet; x++ {
			// Black is false outside of the code.
			upper, lower := !code.Black(x, y), !code.Black(x, y+1) && y+1 < code.Size+quiet
			switch {
			case upper && lower:
				b.WriteRune('█')
			case upper:
				b.WriteRune('▀')
			case lower:
				b.WriteRune('▄')
			default:
				b.WriteByte(' ')
			}
		}
		if color {
			b.WriteString("\x1b[0m")
		}
		b.WriteByte('\n')
	}
	return b.String()
}
