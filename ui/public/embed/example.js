// Hands the token over as a property, so that it does not stand in the page, and lists the events.
const ask = document.getElementById('ask')
const events = document.getElementById('events')
document.getElementById('token').addEventListener('input', ({ target }) => (ask.token = target.value))
document.getElementById('theme').addEventListener('change', ({ target }) => ask.setAttribute('theme', target.value))
const list = (text) => events.appendChild(Object.assign(document.createElement('li'), { textContent: text }))
ask.addEventListener('assay-state', ({ detail }) => list(`assay-state: ${detail.state}`))
ask.addEventListener('assay-answer', ({ detail }) => list(`assay-answer: ${detail.answer.sentence}`))
ask.addEventListener('assay-problem', ({ detail }) => list(`assay-problem: ${detail.problem.code}`))
