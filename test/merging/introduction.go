package merging

const introduction = `# How your changes and the vendor's become one file

<!-- Made from the cases in test/merging/testdata by make merging: change those. -->

You changed a configuration file, and the vendor's new level changes it too. Uplevel then merges three
texts: the file **as shipped** with your level, **yours**, and **the vendor's new** one. Where it knows the
format it goes by key, not by line, so two changes that merely stand close together are no conflict.
Every case below is run by a test against the tool's own merge.

## What wins when
| you | the vendor | comes out |
| --- | --- | --- |
| left it | changed, added or removed it | the vendor's |
| changed, added or removed it | left it | yours |
| made the same change | made the same change | that change, once |
| changed it | changed it otherwise | **conflict**: you are asked |
| changed it | removed it | **conflict** |
| removed it | changed it | **conflict** |
| wrote it another way (quotes, spaces, a comment, its place) | changed the value | the vendor's value, your way of writing |

Your comments, order, blank lines, indentation, quotes, line ends, encoding and byte-order mark stay.
What the vendor adds stands behind the same neighbour as in the vendor's file.

## What a conflict leaves
Nothing is applied yet: the product is wholly at its old level and runs. Beside file ` + "`F`" + ` lie ` + "`F.original`" + ` (as
shipped) and ` + "`F.new`" + ` (the vendor's). What could be merged is merged already; only the named keys are asked
for. Two texts are ready: one with **your answer** at each of them, one with **the vendor's answer**; all else is merged in
both.

## How to decide
| you want | you type |
| --- | --- |
| see what is asked, key by key | ` + "`uplevel conflicts`" + ` |
| your values at the named keys, all else merged | ` + "`uplevel resolve F --mine`" + ` |
| the vendor's values there, all else merged | ` + "`uplevel resolve F --theirs`" + ` |
| something of your own | write ` + "`F.final`" + `, or ` + "`uplevel resolve F --file MY-VERSION`" + ` |
| go on, when all is decided | ` + "`uplevel --continue`" + ` |

In the cases, ` + "`␍`" + ` is a carriage return, ` + "`⏎`" + ` a line's end within a value, and ` + "`⟦FC⟧`" + ` a byte in hexadecimal.

`
