/* A program with the tables that Go's linker makes (1.20 and later): functions of several sizes, their
   records, names, files and varints, module data, and links to types. FIXED makes one function grow. */
#ifdef FIXED
.set grown, 5
#else
.set grown, -1
#endif
.altmacro
.set COUNT, 24
.text
text:
.macro function n
f\n:
    push %rbx
    lea names(%rip), %rbx
    .if \n == grown
    cmp $4096, %rdi
    ja 1f
    test %rdi, %rdi
    je 1f
    .endif
    .rept (\n % 5) + 1
    imul $\n + 3, %rdi, %rdi
    call f0
    .endr
1:  pop %rbx
    ret
    .balign 16, 0xcc
.endm
.set i, 0
.rept COUNT
function %i
.set i, i + 1
.endr
etext:

.section .gopclntab, "a", @progbits
.balign 32
table:
    .long 0xfffffff1
    .byte 0, 0, 1, 8
    .quad COUNT, 3, text, names - table, units - table, files - table, pcs - table, index - table
names:
.macro name n
n\n: .asciz "main.function_with_a_name_\n"
.endm
.set i, 0
.rept COUNT
name %i
.set i, i + 1
.endr
    .balign 4
units:
    .long file0 - files, file1 - files, 0xffffffff
files:
file0: .asciz "/src/main.go"
file1: .asciz "/src/other.go"
pcs:
    .byte 0
.macro pc n
p\n: .byte 2 * \n, \n + 1, 4, 3, 0
.endm
.set i, 0
.rept COUNT
pc %i
.set i, i + 1
.endr
    .balign 8
index:
.macro entry n
    .long f\n - text, r\n - index
.endm
.set i, 0
.rept COUNT
entry %i
.set i, i + 1
.endr
    .long etext - text
.macro record n
r\n:
    .long f\n - text, n\n - names, 8, 0
    .long p\n - pcs, p\n - pcs + 1, p\n - pcs + 2
    .long 2, \n % 2, \n + 10
    .byte 0, 0, 0, 2
    .long p\n - pcs, p\n - pcs + 1
    .long d\n - data, 0xffffffff
.endm
.set i, 0
.rept COUNT
record %i
.set i, i + 1
.endr

.section .rodata, "a", @progbits
types:
.macro type n
    .balign 16
t\n: .quad \n * 8, \n
.endm
data:
.macro datum n
d\n: .long \n * 77, f\n - text
.endm
.set i, 0
.rept COUNT
type %i
.set i, i + 1
.endr
.set i, 0
.rept COUNT
datum %i
.set i, i + 1
.endr

.section .typelink, "a", @progbits
.macro link n
    .long t\n - types
.endm
.set i, 0
.rept COUNT
link %i
.set i, i + 1
.endr

.data
.balign 32
/* Words of the module data; the first two are how it is found. */
    .quad table, names
    .rept 33
    .quad 0
    .endr
    .quad types, types, types, data, text, data, text
    .rept 20
    .quad 0
    .endr
.global _start
.set _start, f0
.section .note.GNU-stack, "", @progbits
