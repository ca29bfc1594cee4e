// Uplevel links what signs.
package main

import _ "uplevel/internal/trust/sign"

func main() {}
