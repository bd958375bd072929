/* The page's style and script, as files so that editors understand them. */
    .section .rodata
    .globl page_css, page_css_size, page_js, page_js_size
page_css:
    .incbin "diff/report/page.css"
page_css_end:
    .byte 0
page_js:
    .incbin "diff/report/page.js"
page_js_end:
    .byte 0
    .balign 4
page_css_size:
    .long page_css_end - page_css
page_js_size:
    .long page_js_end - page_js
    .section .note.GNU-stack, "", @progbits
